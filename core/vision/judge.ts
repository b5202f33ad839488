import type { Completion } from "#core/vision/completion";
import { endsInCopies } from "#core/vision/guard";
import { extractJson, type Found } from "#core/vision/json";
import { judgeThinking, modelThinks } from "#core/vision/reasoning";

/**
 * What a finished answer is worth, and what its end means for the next question:
 * - `answer`: one whole JSON object, whatever ended it
 * - `thinks`: nothing but thinking; only the server's operator can change that
 * - `malformed`: ended by itself, but not one object: the ladder has other ways to ask
 * - `broken`: stopped in its middle, or lost in a loop: another seed may get through, once
 * - `full`: used up its tokens: without more room there is no answer
 * - `withheld`: the server refuses to say it, and would again
 * - `outage`: broken off by a server that is being shut down
 * - `fault`: broken off by a fault of the server
 */
export type Judged =
  | ({ kind: "answer" } & Pick<Found, "value" | "repaired">)
  | { kind: "thinks" | "malformed" | "broken" | "full" | "withheld" | "outage" | "fault"; reason: string };

/** What servers call the end of an answer that came by itself: OpenAI, vLLM, SGLang; TGI; others behind gateways. */
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

/** Judges an answer that ended or was cut off. Reasons are in snake_case and say nothing of the text. */
export function judge(completion: Completion): Judged {
  const { cut, finishReason, text } = completion;
  const thought = judgeThinking(completion);
  if (thought === modelThinks) return { kind: "thinks", reason: modelThinks };
  if (thought !== undefined) return answer(thought);
  const extracted = extractJson(text);
  const ended = (finishReason ?? "").toLowerCase();
  const nature = natureOfOthers.get(ended);
  // Whole is whole: behind it there was only white space. What was withheld may be a part of it.
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
