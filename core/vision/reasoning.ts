import { extractJson, extractLast, type Found } from "#core/vision/answer/json";
import { isOnlyThinking } from "#core/vision/answer/thinking";
import type { Completion } from "#core/vision/completion";

/**
 * The reason for an answer that was all thinking. A retry would give the same: only the server's operator can change
 * it.
 */
export const modelThinks = "model_thinks";

/**
 * Judges an answer with nothing but thinking: separate from an empty text, or unclosed within the text. Undefined if
 * there is more to judge.
 *
 * Some servers return the answer itself as thinking (a reasoning parser that waits for a closing mark although thinking
 * is switched off): an object at its end is the answer.
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
