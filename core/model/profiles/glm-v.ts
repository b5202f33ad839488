import type { Profile } from "../profile.ts";

/*
 * GLM-4.1V to 4.6V and GLM-OCR. Read from transformers 5.24.0: models/glm4v/image_processing_glm4v.py, `smart_resize`
 * (line 54) and `size` (line 95): its bounds of pixels count two frames, so that a picture has half of them. Thinking: vLLM
 * 0.32.0, vllm/parser/glm47_moe.py, lines 213 to 228 (`enable_thinking`, true if absent); GLM-5.3 always thinks.
 */
export const glmV: Profile = {
  name: "glm-v",
  serves: /glm-?(4(\.\d)?v|4\.\dv|ocr)/,
  withoutThinking: { enable_thinking: false },
  processor: { kind: "patches", side: 28, minPixels: (112 * 112) / 2, maxPixels: (28 * 28 * 15_000) / 2 },
  leastRatio: 1,
};
