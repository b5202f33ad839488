import type { Profile } from "../profile.ts";

/*
 * Qwen2-VL and Qwen2.5-VL. Read from transformers 5.24.0: models/qwen2_vl/image_processing_qwen2_vl.py, `smart_resize`
 * (line 63) with a factor of 28; 3,136 to 12,845,056 pixels are the models' preprocessor_config.json. Never thinks.
 */
export const qwen25Vl: Profile = {
  name: "qwen2.5-vl",
  serves: /qwen-?2(\.5)?-?vl/,
  withoutThinking: undefined,
  processor: { kind: "patches", side: 28, minPixels: 3_136, maxPixels: 12_845_056 },
  leastRatio: 1,
};
