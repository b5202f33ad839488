import type { Profile } from "../profile.ts";

/*
 * Gemma 4. Read from transformers 5.24.0: models/gemma4/image_processing_gemma4.py, lines 38 and 146 (patches of 16, 3
 * by 3 pooled, at most 280 tokens): every picture is enlarged or reduced to that budget. A server may be started with
 * 70 to 1,120 instead (`--mm-processor-kwargs '{"max_soft_tokens": 1120}'`), which receipts need; its real cost is
 * learned from its counts. Thinking: vLLM 0.32.0, vllm/parser/gemma4.py, line 425 (`enable_thinking`, false if absent).
 */
export const gemma4: Profile = {
  name: "gemma-4",
  serves: /gemma-?4/,
  withoutThinking: { enable_thinking: false },
  processor: { kind: "fixed", tokens: 280, pixels: 280 * 48 * 48 },
  leastRatio: 1,
};
