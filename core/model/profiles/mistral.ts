import type { Profile } from "../profile.ts";

/*
 * Mistral Small 3.1 and later, Ministral 3, Pixtral. Read from mistral-common: tokens/tokenizers/image.py, lines 260 to 295
 * (patches of 14, merged 2 by 2, the long side at most 1,540, one token at the end of each row), transformers 5.24.0:
 * models/pixtral/processing_pixtral.py, lines 88 to 98. Its tokenizer takes no variables of a template: the models that
 * think do so by a system prompt, which is never sent.
 */
export const mistral: Profile = {
  name: "mistral",
  serves: /mistral|ministral|pixtral|magistral/,
  withoutThinking: undefined,
  processor: { kind: "rows", side: 28, longestSide: 1540 },
  leastRatio: 1,
};
