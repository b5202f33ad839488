import type { ProfileName } from "#spec/profile-names";
import type { Profile } from "../profile.ts";
import { gemma3 } from "./gemma3.ts";
import { gemma4 } from "./gemma4.ts";
import { generic } from "./generic.ts";
import { glmV } from "./glm-v.ts";
import { internvl } from "./internvl.ts";
import { minicpmV } from "./minicpm-v.ts";
import { mistral } from "./mistral.ts";
import { qwen25Vl } from "./qwen2.5-vl.ts";
import { qwen35 } from "./qwen3.5.ts";
import { qwen3Vl } from "./qwen3-vl.ts";

/** In the order in which names are compared. `generic` serves all models that no other profile matches. */
const profiles: readonly Profile[] = [
  qwen3Vl,
  qwen35,
  qwen25Vl,
  gemma4,
  gemma3,
  internvl,
  minicpmV,
  glmV,
  mistral,
  generic,
];

/**
 * The profile that the operator names, else the first one that serves a model of this name, else `generic`.
 * @param named - `VLLM_PROFILE`; undefined if it is not set.
 */
export function choose(model: string, named?: ProfileName): Profile {
  const name = model.toLowerCase();
  return (
    profiles.find((profile) => profile.name === named) ??
    profiles.find(({ serves }) => serves?.test(name)) ??
    generic
  );
}
