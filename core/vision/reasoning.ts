import type { Completion } from "#core/vision/completion";
import { extractJson, extractLast, type Found } from "#core/vision/json";
import { isOnlyThinking } from "#core/vision/thinking";

/** The reason of an answer that was all thinking. It would be so again: only the server's operator can change it. */
export const modelThinks = "model_thinks";

/**
 * What becomes of an answer in which nothing but thinking came: beside an empty text, or in the text without an end.
 * Undefined where there is more than that to judge.
 *
 * Some servers take the answer itself for the thinking (a reasoning parser that waits for a closing mark although
 * thinking is switched off): an object that ends it is the answer.
 */
export function judgeThinking(completion: Completion): Found | typeof modelThinks | undefined {
  const { text, reasoning, cut, finishReason } = completion;
  const beside = text.trim() === "";
  if (beside ? reasoning.trim() === "" : !isOnlyThinking(text)) return undefined;
  if (cut !== null || finishReason === "length") return modelThinks;
  if (finishReason !== "stop") return undefined;
  const extracted = beside ? extractLast(reasoning) : extractJson(text);
  return extracted.ok ? extracted : modelThinks;
}
