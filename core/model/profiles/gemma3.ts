import type { Profile } from "../profile.ts";

/*
 * Gemma 3. Read from transformers 5.24.0: models/gemma3/processing_gemma3.py, line 41 (256 tokens a picture), of 896 × 896
 * pixels. Never thinks.
 */
export const gemma3: Profile = {
  name: "gemma-3",
  serves: /gemma-?3(?!n)/,
  withoutThinking: undefined,
  processor: { kind: "fixed", tokens: 256, pixels: 896 * 896 },
  leastRatio: 1,
};
