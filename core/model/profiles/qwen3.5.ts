import type { Profile } from "../profile.ts";
import { qwen3Vl } from "./qwen3-vl.ts";

/*
 * Qwen3.5, 3.6, 3.8: pictures and text in one model, which thinks unless it is told not to. Read from vLLM 0.32.0:
 * vllm/parser/qwen3.py, line 231 (`enable_thinking`, true if absent); transformers 5.24.0: models/qwen3_5 takes its
 * picture processor from Qwen3-VL.
 */
export const qwen35: Profile = {
  name: "qwen3.5",
  serves: /qwen-?3\.[5-9]/,
  withoutThinking: { enable_thinking: false },
  processor: qwen3Vl.processor,
  leastRatio: 1,
};
