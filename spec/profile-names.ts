/** The families of models whose differences are known (core/model/profiles/profiles.ts): what `VLLM_PROFILE` takes. */
export const profileNames = [
  "qwen3-vl",
  "qwen3.5",
  "qwen2.5-vl",
  "gemma-4",
  "gemma-3",
  "internvl",
  "minicpm-v",
  "glm-v",
  "mistral",
  "generic",
] as const;
export type ProfileName = (typeof profileNames)[number];
