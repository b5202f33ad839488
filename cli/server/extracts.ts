/** Extracts by the HTTP API, with an answer that comes later. */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import * as Text from "#cli/terminal/text";
import { type Answer, retryAfterS, type Target } from "./answer.ts";
import { CallError } from "./call-error.ts";
import { call } from "./client.ts";
import { failureOf, oddAnswer } from "./refusal.ts";

/** How long an extract in progress is polled. */
const pollLimitMs = 15 * 60_000;
const maxPollS = 30;
/** How often, and how long, the command waits for a rate limit to pass. */
const rateLimitTries = 3;
const maxRateLimitS = 30;

/** The fields of an extract that commands read; the rest is passed on unchanged. */
const Extract = z.looseObject({
  request_id: z.string(),
  status: z.string(),
  artifact_rel: z.string().nullable().optional(),
  error: z.looseObject({ code: z.string(), message: z.string() }).optional(),
  /** Of a picture that was split. */
  documents: z.array(z.looseObject({ result: z.record(z.string(), z.unknown()).nullable() })).optional(),
});
export type Extract = z.output<typeof Extract>;

const Running = z.looseObject({ status: z.literal("running"), poll_url: z.string() });

/** Where the picture is. */
export type Source = { image_base64: string } | { image_ref: string };

/**
 * `POST /v1/extract`. If the answer is a 202, it polls as long as the server says so. Throws CallError, also for an
 * extract that failed in the end.
 */
export async function extract(
  server: Target,
  body: Source & { task_id?: string; request_id?: string; debug?: object; split?: "auto" },
  signal?: AbortSignal,
  /** Called once with the poll address if the answer does not come at once. */
  onWaiting?: (pollUrl: string) => void,
): Promise<Extract> {
  for (let tries = 1; ; tries += 1) {
    const answer = await call(server, { method: "POST", path: "/v1/extract", body, signal });
    if (answer.status !== 429 || tries === rateLimitTries) return settled(server, answer, signal, onWaiting);
    await sleep(retryAfterS(answer, maxRateLimitS) * 1000, undefined, { signal });
  }
}

/** Whether the server has an extract of this id, however it ended. Throws CallError. */
export async function isThere(server: Target, requestId: string, signal?: AbortSignal): Promise<boolean> {
  const answer = await call(server, { path: `/v1/extracts/${encodeURIComponent(requestId)}`, signal });
  return answer.status !== 404;
}

/** `GET /v1/extracts/{id}`, waiting for one that still runs. Throws CallError. */
export async function ended(server: Target, requestId: string, signal?: AbortSignal): Promise<Extract> {
  const answer = await call(server, { path: `/v1/extracts/${encodeURIComponent(requestId)}`, signal });
  const failure = answer.status === 404 ? failureOf(answer) : undefined;
  // The error concerns only this id, not the server.
  if (failure?.code === "not_found") {
    const { message, code, own } = failure;
    throw new CallError(message, { scope: "item", code, status: 404, own });
  }
  return settled(server, answer, signal);
}

async function settled(
  server: Target,
  first: Answer,
  signal: AbortSignal | undefined,
  onWaiting?: (pollUrl: string) => void,
): Promise<Extract> {
  const giveUpAt = performance.now() + pollLimitMs;
  let answer = first;
  while (answer.status === 202) {
    const running = Running.safeParse(answer.json);
    if (!running.success) throw oddAnswer(answer);
    if (answer === first) onWaiting?.(running.data.poll_url);
    if (performance.now() > giveUpAt) {
      throw new CallError("still running after 15 minutes: ask for it again later", {
        scope: "item",
        code: "timeout",
      });
    }
    await sleep(retryAfterS(answer, maxPollS) * 1000, undefined, { signal });
    answer = await call(server, { path: running.data.poll_url, signal });
  }
  if (answer.status !== 200) throw failureOf(answer);
  const extracted = Extract.safeParse(answer.json);
  if (!extracted.success) throw oddAnswer(answer);
  const { error } = extracted.data;
  if (error)
    throw new CallError(Text.shown(`${error.message} (${error.code})`), {
      scope: "item",
      code: error.code,
      status: 200,
      own: { details: {}, request_id: extracted.data.request_id, ...error },
    });
  // Returned as it came, because zod would put the known fields first.
  return answer.json as Extract;
}
