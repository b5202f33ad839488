import { join } from "node:path";
import { createClient } from "@libsql/client";
import { expect } from "vitest";
import * as Database from "#core/db/database";
import { extractTable } from "#core/extraction/extract.sql";
import { reader, totalOf } from "#test/soak/parallel";
import * as Stack from "#test/soak/stack";
import type * as ModelServer from "#test/support/model-server/model-server";
import { base64 } from "#test/support/pictures";

/** A lease of 34 s ends after 8.5 s, reconcile runs every 15 s, and a call has time for the cold starts of twelve processes. */
const timeScale = 1 / 4;

/** How long the operating system may take to end everything that the killed loop had started. */
const goneMs = 3_000;
/** An extract that was interrupted can be claimed again when its lease ends. */
const freeMs = 120_000;

interface Reply {
  readonly status: number;
  readonly body: { request_id?: string; status?: string; error?: { code: string } };
}

/** The outcome of the calls: answered before the kill, told to poll, or interrupted (or refused with 5xx). */
export interface Killed {
  readonly answered: number;
  readonly accepted: number;
  readonly others: number;
}

export interface Kills {
  readonly count: number;
  readonly killAfter: number;
  readonly rounds: number;
}

/**
 * Sends `count` extracts to a whole stack, kills it with SIGKILL when `killAfter` of them are answered, starts it
 * again on the same folder, and checks that no answer is lost and no extract is stuck. With `rounds` above 1 this is
 * repeated on the same folder, with new ids.
 */
export async function killStack(
  home: string,
  model: ModelServer.ModelServer,
  { count, killAfter, rounds }: Kills,
): Promise<Killed[]> {
  const env = { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", OCRLTY_TIME_SCALE: String(timeScale) };
  const read = reader(200);
  let held: readonly string[] = [];
  model.respond = (request, ...more) =>
    held.includes(String(request.headers["x-request-id"])) ? { kind: "hang" } : read(request, ...more);
  let stack = await Stack.start(home, env);
  const results: Killed[] = [];
  try {
    for (let number = 1; number <= rounds; number += 1) {
      const round = await Round.of(number, count, model);
      held = round.held;
      const children = await round.sendUntilKilled(stack, killAfter, () => {
        held = [];
      });
      expect(children.length).toBeGreaterThan(1);
      await Stack.expectGone(children, goneMs);
      results.push(await round.outcome(killAfter));

      stack = await Stack.start(home, env);
      await round.expectEnded(stack);
      const rows = await rowsOf(home);
      expect(rows.length).toBe(number * count);
      round.expectAsked(rows);
    }
  } finally {
    await stack.stop();
  }
  return results;
}

interface Call {
  readonly picture: string;
  readonly total: string;
}

/** The calls of one round, and what came back before the kill. */
class Round {
  /** Two that are never answered before the kill, so that it always interrupts model calls. */
  readonly held: readonly string[];
  readonly #calls: ReadonlyMap<string, Call>;
  readonly #model: ModelServer.ModelServer;
  readonly #replies = new Map<string, Reply | undefined>();
  #sent: Promise<void>[] = [];
  #isKilled = false;

  constructor(calls: ReadonlyMap<string, Call>, model: ModelServer.ModelServer) {
    this.#calls = calls;
    this.#model = model;
    this.held = [...calls.keys()].slice(-2);
  }

  static async of(number: number, count: number, model: ModelServer.ModelServer): Promise<Round> {
    const calls = Array.from({ length: count }, async (_, i) => {
      const picture = await base64(10_000 * number + i);
      return [`killed-${number}-${i}`, { picture, total: totalOf(Buffer.from(picture, "base64")) }] as const;
    });
    return new Round(new Map(await Promise.all(calls)), model);
  }

  /** Sends all, and kills the stack as soon as enough are answered. @returns the stack's processes. */
  async sendUntilKilled(stack: Stack.Stack, killAfter: number, onKilled: () => void): Promise<number[]> {
    const enough = Promise.withResolvers<void>();
    this.#sent = [...this.#calls.keys()].map(async (id) => {
      let reply = await this.#send(stack, id).catch(() => undefined);
      // A busy machine refuses some; the held ones must reach the model server.
      while (!this.#isKilled && this.held.includes(id) && (reply?.status ?? 0) >= 500)
        reply = await this.#send(stack, id).catch(() => undefined);
      this.#replies.set(id, reply);
      if (this.#of(200).length >= killAfter) enough.resolve();
    });
    // The kill always happens: at the latest when no caller waits any longer.
    await Promise.race([enough.promise, Promise.all(this.#sent)]);
    await expect.poll(() => this.#heldAtWork(), { timeout: 20_000, interval: 20 }).toBeGreaterThan(0);
    this.#isKilled = true;
    const children = await stack.kill();
    onKilled();
    return children;
  }

  /** How the calls of before the kill ended. */
  async outcome(killAfter: number): Promise<Killed> {
    await Promise.all(this.#sent);
    const statuses = this.#others().map((id) => this.#replies.get(id)?.status);
    // 5xx before the kill: the machine was too busy. Like calls without an answer they may be sent again.
    expect(statuses.filter((status) => status !== undefined && status < 500)).toEqual([]);
    expect(this.#of(200).length).toBeGreaterThanOrEqual(killAfter);
    return { answered: this.#of(200).length, accepted: this.#of(202).length, others: statuses.length };
  }

  /** Every extract ends in the stack that was started again, and no answer has changed. */
  async expectEnded(stack: Stack.Stack): Promise<void> {
    const get = (id: string) => () => request(stack, `/v1/extracts/${id}`);
    // An answered extract is there at once, with its artifact and its row.
    for (const id of this.#of(200)) expect(await until200(id, get(id))).toEqual(this.#replies.get(id)?.body);
    // Accepted extracts end by themselves; all others are sent again unchanged.
    const end = async (id: string, ask: () => Promise<Reply>) =>
      expect(await until200(id, ask)).toMatchObject({
        request_id: id,
        status: "succeeded",
        result: { total: this.#calls.get(id)?.total },
      });
    await Promise.all([
      ...this.#of(202).map((id) => end(id, get(id))),
      ...this.#others().map((id) => end(id, () => this.#send(stack, id))),
    ]);
  }

  /** Every row has succeeded, and the model was not asked more often than the kill explains. */
  expectAsked(rows: Awaited<ReturnType<typeof rowsOf>>): void {
    for (const { requestId, status, pendingArtifact, artifactRel } of rows) {
      expect({ requestId, status, pendingArtifact }).toEqual({
        requestId,
        status: "succeeded",
        pendingArtifact: null,
      });
      expect(artifactRel).not.toBeNull();
    }
    const handedOver = new Set(
      rows.filter((row) => row.handedOverAt !== null || row.claims > 0).map((row) => row.requestId),
    );
    const answered = this.#of(200);
    for (const id of this.#calls.keys()) {
      const asked = this.#model.requests.filter(({ headers }) => headers["x-request-id"] === id).length;
      // Once; once more for a kill in flight, and once more for a call that reached its deadline.
      const most = (answered.includes(id) ? 1 : 2) + (handedOver.has(id) ? 1 : 0);
      expect(asked, id).toBeGreaterThanOrEqual(1);
      expect(asked, id).toBeLessThanOrEqual(most);
    }
  }

  /** The look is off, because it would only take time on a busy machine; the test kills the work of calls. */
  #send(stack: Stack.Stack, id: string): Promise<Reply> {
    const json = { request_id: id, image_base64: this.#calls.get(id)?.picture, look: false };
    return request(stack, "/v1/extract", json);
  }

  #of(status: number): string[] {
    return [...this.#calls.keys()].filter((id) => this.#replies.get(id)?.status === status);
  }

  /** Interrupted, or refused with 5xx. */
  #others(): string[] {
    const taken = [...this.#of(200), ...this.#of(202)];
    return [...this.#calls.keys()].filter((id) => !taken.includes(id));
  }

  #heldAtWork(): number {
    return this.#model.requests.filter(
      ({ endedAt, headers }) => endedAt === undefined && this.held.includes(String(headers["x-request-id"])),
    ).length;
  }
}

/** Polls an extract until it answers 200; a 503 of a busy machine is repeated. */
async function until200(id: string, ask: () => Promise<Reply>) {
  let last: Reply | undefined;
  const status = async () => {
    last = await ask();
    return last.status;
  };
  await expect.poll(status, { timeout: freeMs, interval: 500, message: id }).toBe(200);
  const { raw: _, ...body } = (last?.body ?? {}) as Reply["body"] & { raw?: string };
  return body;
}

async function request(stack: Stack.Stack, path: string, json?: unknown): Promise<Reply> {
  const response = await fetch(`${stack.url}${path}`, {
    method: json === undefined ? "GET" : "POST",
    headers: { "x-api-key": stack.key, "content-type": "application/json" },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });
  return { status: response.status, body: (await response.json()) as Reply["body"] };
}

async function rowsOf(home: string) {
  const db = Database.wrap(createClient({ url: `file:${join(home, "ocrlty.db")}`, timeout: 5_000 }));
  try {
    return await db.query.select().from(extractTable);
  } finally {
    db.client.close();
  }
}
