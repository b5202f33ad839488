/** Runs the cases in order against a server, and checks each answer. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import type { Answer, Request, Target } from "#cli/server/answer";
import { CallError } from "#cli/server/call-error";
import * as Client from "#cli/server/client";
import { failureOf } from "#cli/server/refusal";
import type { Bench, Case, Wants } from "./case.ts";
import { errorShape } from "./shape.ts";

export interface Outcome {
  readonly name: string;
  readonly route: string;
  /** The status of the answer; null if there was none, or no call was made. */
  readonly status: number | null;
  readonly ms: number;
  readonly outcome: "ok" | "failed" | "skipped";
  /** Why it failed or was skipped. */
  readonly why: string | null;
}

const Health = z.looseObject({ auth_enabled: z.boolean(), debug_mode: z.boolean() });
const pollMs = 1_000;
const pollLimitMs = 120_000;

/**
 * Runs every case, and reports each as it ends. Throws CallError if the server cannot be reached at all, and the
 * signal's reason if it is aborted.
 */
export async function run(
  server: Target,
  cases: readonly Case[],
  options: {
    picture: Buffer;
    modelServer?: URL | undefined;
    signal: AbortSignal;
    onOutcome: (outcome: Outcome) => void;
  },
): Promise<Outcome[]> {
  const health = Health.safeParse(await Client.get(server, "/health", { signal: options.signal }));
  const bench: Bench = {
    run: randomBytes(6).toString("hex"),
    picture: options.picture,
    authEnabled: health.data?.auth_enabled ?? true,
    debugMode: health.data?.debug_mode ?? false,
    modelServer: options.modelServer,
    scopes: [],
    kept: new Map(),
  };
  const outcomes: Outcome[] = [];
  for (const item of cases) {
    const outcome = await ask(server, item, bench, options.signal);
    outcomes.push(outcome);
    options.onOutcome(outcome);
  }
  return outcomes;
}

async function ask(server: Target, item: Case, bench: Bench, signal: AbortSignal): Promise<Outcome> {
  const about = { name: item.name, route: item.route };
  const reason = item.skip?.(bench);
  if (reason !== undefined) return { ...about, status: null, ms: 0, outcome: "skipped", why: reason };
  const elsewhere = item.elsewhere?.(bench);
  const caller =
    elsewhere === undefined ? callerOf(server, item) : { url: new URL("/", elsewhere), apiKey: undefined };
  const startedAt = performance.now();
  const ms = () => Math.round(performance.now() - startedAt);
  try {
    const request = {
      ...item.request(bench),
      ...(elsewhere === undefined ? {} : { path: elsewhere }),
      signal,
    };
    const first = await settled(caller, await Client.call(caller, request), item.wants, signal);
    const answer = await ended(caller, request, first, item.wants);
    const why = judge(answer, item.wants, bench);
    if (why === undefined) item.keep?.(answer, bench);
    return {
      ...about,
      status: answer.status,
      ms: ms(),
      outcome: why === undefined ? "ok" : "failed",
      why: why ?? null,
    };
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    const outcome = item.mayBeAway ? "skipped" : "failed";
    return { ...about, status: null, ms: ms(), outcome, why: error.message };
  }
}

function callerOf(server: Target, { as }: Case): Target {
  if (as === undefined) return server;
  return { url: server.url, apiKey: as === "nobody" ? undefined : as };
}

/** Polls a 202 until it is another status, if the case needs the end. */
async function settled(server: Target, first: Answer, wants: Wants, signal: AbortSignal): Promise<Answer> {
  const giveUpAt = performance.now() + pollLimitMs;
  let answer = first;
  while (wants.settles && answer.status === 202 && performance.now() < giveUpAt) {
    const path = z.object({ poll_url: z.string() }).safeParse(answer.json).data?.poll_url;
    if (path === undefined) break;
    await sleep(pollMs, undefined, { signal });
    answer = await Client.call(server, { path, signal });
  }
  return answer;
}

/** Repeats a call while its answer is about work in progress. */
async function ended(server: Target, request: Request, first: Answer, wants: Wants): Promise<Answer> {
  const giveUpAt = performance.now() + pollLimitMs;
  let answer = first;
  while (wants.until?.(answer) === false && answer.status === 200 && performance.now() < giveUpAt) {
    await sleep(pollMs, undefined, { signal: request.signal });
    answer = await Client.call(server, request);
  }
  return answer;
}

/** The mistake in the answer, in one line; undefined if the answer is as expected. */
function judge(answer: Answer, wants: Wants, bench: Bench): string | undefined {
  const statuses = typeof wants.status === "number" ? [wants.status] : wants.status;
  if (!statuses.includes(answer.status)) {
    if (wants.otherwise !== undefined) return wants.otherwise;
    return `wanted ${statuses.join(" or ")}${answer.status >= 400 ? `: ${failureOf(answer).message}` : ""}`;
  }
  if (wants.code !== undefined) {
    const shape = errorShape(answer);
    if (shape !== undefined) return shape;
    const code =
      z.object({ error: z.object({ code: z.string() }) }).safeParse(answer.json).data?.error.code ?? "";
    const codes = typeof wants.code === "string" ? [wants.code] : wants.code;
    if (!codes.includes(code)) return `wanted the code ${codes.join(" or ")}, got ${code}`;
  }
  for (const [name, pattern] of Object.entries(wants.headers ?? {})) {
    const value = answer.headers.get(name);
    if (pattern === null ? value !== null : value === null || !pattern.test(value)) {
      return `the header ${name} is ${value ?? "missing"}`;
    }
  }
  const body = wants.body?.safeParse(answer.json);
  if (body && !body.success) {
    const issue = body.error.issues[0];
    return `the body at ${issue?.path.join(".") || "its root"}: ${issue?.message}`;
  }
  return wants.also?.(answer, bench);
}
