import type { Profile } from "../profile.ts";

/*
 * InternVL 2.5 to 3.5. Read from vLLM 0.32.0: vllm/transformers_utils/processors/internvl.py, lines 47 to 127 (the nearest
 * grid of up to 12 tiles of 448 pixels and a small copy), models/internvl.py, line 374 (256 tokens a tile). Thinking is
 * switched on by a system prompt, which is never sent.
 */
export const internvl: Profile = {
  name: "internvl",
  serves: /intern-?vl/,
  withoutThinking: undefined,
  processor: { kind: "grid", tile: 448, tokensPerTile: 256, mostTiles: 12 },
  leastRatio: 1,
};
