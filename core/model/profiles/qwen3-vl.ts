import type { Profile } from "../profile.ts";

/*
 * Qwen3-VL. Read from transformers 5.24.0: models/qwen2_vl/image_processing_qwen2_vl.py, `smart_resize` (line 63), with
 * patches of 16, merged 2 by 2, between 65,536 and 16,777,216 pixels (the model's preprocessor_config.json). Counted on
 * vLLM 0.32.0. Its template knows no variable for thinking; the -Thinking models always think.
 */
export const qwen3Vl: Profile = {
  name: "qwen3-vl",
  serves: /qwen-?3-?vl/,
  withoutThinking: { enable_thinking: false },
  processor: { kind: "patches", side: 32, minPixels: 65_536, maxPixels: 16_777_216 },
  leastRatio: 1,
};
