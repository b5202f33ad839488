import type { Profile } from "../profile.ts";
import { qwen3Vl } from "./qwen3-vl.ts";

/*
 * Models of no known family. Their tokens are assumed to be those of Qwen3-VL until the server's counts are known.
 * Templates that do not know the thinking variable ignore it.
 */
export const generic: Profile = {
  name: "generic",
  serves: undefined,
  withoutThinking: { enable_thinking: false },
  processor: qwen3Vl.processor,
  leastRatio: 0.1,
};
