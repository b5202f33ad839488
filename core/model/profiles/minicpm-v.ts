import type { Profile } from "../profile.ts";

/*
 * MiniCPM-V 4 and later. Read from transformers 5.24.0: models/minicpmv4_6/image_processing_minicpmv4_6.py, lines 63 to
 * 147 (up to 9 slices of 448 × 448 pixels), vLLM 0.32.0: models/minicpmv.py, line 762 (64 tokens for the copy and for each
 * slice; about three for the marks around it). Thinking: vllm/parser/minicpmv.py, line 276 (`enable_thinking`, true if
 * absent).
 */
export const minicpmV: Profile = {
  name: "minicpm-v",
  serves: /minicpm-?[vo]/,
  withoutThinking: { enable_thinking: false },
  processor: { kind: "slices", slice: 448, tokensPerSlice: 67, mostSlices: 9 },
  leastRatio: 1,
};
