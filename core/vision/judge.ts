import { extractJson, type Found } from "#core/vision/answer/json";
import type { Completion } from "#core/vision/completion";
import { endsInCopies } from "#core/vision/guard";
import { judgeThinking, modelThinks } from "#core/vision/reasoning";

/**
 * The verdict on a finished answer, which decides about the next call:
 * - `answer`: one complete JSON object, however it ended
 * - `thinks`: only thinking; only the server's operator can change that
 * - `malformed`: ended normally, but is not one object: the ladder continues
 * - `broken`: stopped in the middle, or in a loop: another seed may help, once
 * - `full`: used up its tokens: without more room there is no answer
 * - `withheld`: the server refuses to give it, and would again
 * - `outage`: ended by a server that is shutting down
 * - `fault`: ended by a fault of the server
 */
export type Judged =
  | ({ kind: "answer" } & Pick<Found, "value" | "repaired">)
  | { kind: "thinks" | "malformed" | "broken" | "full" | "withheld" | "outage" | "fault"; reason: string };

/** Finish reasons of an answer that ended normally: OpenAI, vLLM, SGLang; TGI; others behind gateways. */
const natural = new Set(["stop", "eos", "eos_token", "stop_sequence", "end_turn", "complete", "completed"]);
const natureOfOthers = new Map<string, "full" | "outage" | "fault" | "withheld">([
  ["length", "full"],
  ["max_tokens", "full"],
  ["model_length", "full"],
  ["abort", "outage"],
  ["aborted", "outage"],
  ["cancelled", "outage"],
  ["canceled", "outage"],
  ["error", "fault"],
  ["insufficient_system_resource", "fault"],
  ["content_filter", "withheld"],
  ["safety", "withheld"],
  ["refusal", "withheld"],
]);

/** Judges an answer that ended or was cut off. Reasons are in snake_case and contain nothing of the text. */
export function judge(completion: Completion): Judged {
  const { cut, finishReason, text } = completion;
  const thought = judgeThinking(completion);
  if (thought === modelThinks) return { kind: "thinks", reason: modelThinks };
  if (thought !== undefined) return answer(thought);
  const extracted = extractJson(text);
  const ended = (finishReason ?? "").toLowerCase();
  const nature = natureOfOthers.get(ended);
  // A complete object is accepted however it ended, since only white space followed. A withheld part may be missing
  // from it.
  if (extracted.ok && nature !== "withheld") return answer(extracted);
  if (cut !== null) {
    const lost = cut === "repetition" || cut === "too_long";
    return { kind: lost ? "broken" : "malformed", reason: cut };
  }
  if (nature === "full") {
    return endsInCopies(text) ? { kind: "broken", reason: "repetition" } : { kind: nature, reason: "length" };
  }
  if (nature !== undefined) return { kind: nature, reason: `finish_${ended}` };
  if (ended === "repetition") return { kind: "broken", reason: "repetition" };
  if (!natural.has(ended))
    return { kind: "broken", reason: `finish_${/^[a-z_]{1,40}$/.test(ended) ? ended : "other"}` };
  const reason = extracted.ok ? "invalid_json" : extracted.reason;
  return { kind: reason === "half_object" ? "broken" : "malformed", reason };
}

function answer({ value, repaired }: Found): Judged {
  return { kind: "answer", value, ...(repaired === undefined ? {} : { repaired }) };
}
