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

/**
 * Sends `count` extracts to a whole stack, kills it with SIGKILL when `killAfter` of them are answered, starts it
 * again on the same folder, and checks that no answer is lost and no extract is stuck. With `rounds` above 1 this is
 * repeated on the same folder, with new ids.
 */
export async function killStack(
  home: string,
  model: ModelServer.ModelServer,
  { count, killAfter, rounds }: { count: number; killAfter: number; rounds: number },
): Promise<Killed[]> {
  const read = reader(200);
  let held: string[] = [];
  // Two of each round are never answered before the kill, so that it always interrupts model calls.
  model.respond = (request, ...more) =>
    held.includes(String(request.headers["x-request-id"])) ? { kind: "hang" } : read(request, ...more);
  const env = { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", OCRLTY_TIME_SCALE: String(timeScale) };
  let stack = await Stack.start(home, env);
  const results: Killed[] = [];
  try {
    for (let round = 1; round <= rounds; round += 1) {
      const ids = Array.from({ length: count }, (_, i) => `killed-${round}-${i}`);
      const calls = new Map(
        await Promise.all(
          ids.map(async (id, i) => {
            const picture = await base64(10_000 * round + i);
            return [id, { picture, total: totalOf(Buffer.from(picture, "base64")) }] as const;
          }),
        ),
      );
      // The look is off, because it would only take time on a busy machine; the test kills the work of calls.
      const send = (id: string) =>
        request(stack, "/v1/extract", {
          ...{ request_id: id, image_base64: calls.get(id)?.picture, look: false },
        });

      held = ids.slice(-2);
      const atWork = () =>
        model.requests.filter(
          ({ endedAt, headers }) => endedAt === undefined && held.includes(String(headers["x-request-id"])),
        ).length;
      const replies = new Map<string, Reply | undefined>();
      const enough = Promise.withResolvers<void>();
      let isKilled = false;
      const sent = ids.map(async (id) => {
        let reply = await send(id).catch(() => undefined);
        // A busy machine refuses some; the held ones must reach the model server.
        while (!isKilled && held.includes(id) && (reply?.status ?? 0) >= 500)
          reply = await send(id).catch(() => undefined);
        replies.set(id, reply);
        const answered = [...replies.values()].filter((each) => each?.status === 200).length;
        if (answered >= killAfter) enough.resolve();
      });
      // The kill always happens: at the latest when no caller waits any longer.
      await Promise.race([enough.promise, Promise.all(sent)]);
      await expect.poll(atWork, { timeout: 20_000, interval: 20 }).toBeGreaterThan(0);
      isKilled = true;
      const children = await stack.kill();
      held = [];
      expect(children.length).toBeGreaterThan(1);
      await Stack.expectGone(children, goneMs);
      await Promise.all(sent);

      const of = (status: number) => ids.filter((id) => replies.get(id)?.status === status);
      const [answered, accepted] = [of(200), of(202)];
      const others = ids.filter((id) => !answered.includes(id) && !accepted.includes(id));
      const statuses = others.map((id) => replies.get(id)?.status);
      // 5xx before the kill: the machine was too busy. Like calls without an answer they may be sent again.
      expect(statuses.filter((status) => status !== undefined && status < 500)).toEqual([]);
      expect(answered.length).toBeGreaterThanOrEqual(killAfter);
      results.push({ answered: answered.length, accepted: accepted.length, others: others.length });

      stack = await Stack.start(home, env);
      // Polls an extract until it answers 200; a 503 of a busy machine is repeated.
      const until200 = async (id: string, ask: () => Promise<Reply>) => {
        let last: Reply | undefined;
        const status = async () => {
          last = await ask();
          return last.status;
        };
        await expect.poll(status, { timeout: freeMs, interval: 500, message: id }).toBe(200);
        const { raw: _, ...body } = (last?.body ?? {}) as Reply["body"] & { raw?: string };
        return body;
      };
      // An answered extract is there at once, with its artifact and its row.
      for (const id of answered) {
        const again = await until200(id, () => request(stack, `/v1/extracts/${id}`));
        expect(again).toEqual(replies.get(id)?.body);
      }
      // Accepted extracts end by themselves; all others are sent again unchanged.
      const end = async (id: string, ask: () => Promise<Reply>) =>
        expect(await until200(id, ask)).toMatchObject({
          request_id: id,
          status: "succeeded",
          result: { total: calls.get(id)?.total },
        });
      await Promise.all([
        ...accepted.map((id) => end(id, () => request(stack, `/v1/extracts/${id}`))),
        ...others.map((id) => end(id, () => send(id))),
      ]);

      const rows = await rowsOf(home);
      expect(rows.length).toBe(round * count);
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
      for (const id of ids) {
        const asked = model.requests.filter(({ headers }) => headers["x-request-id"] === id).length;
        // Once; once more for a kill in flight, and once more for a call that reached its deadline.
        const most = (answered.includes(id) ? 1 : 2) + (handedOver.has(id) ? 1 : 0);
        expect(asked, id).toBeGreaterThanOrEqual(1);
        expect(asked, id).toBeLessThanOrEqual(most);
      }
    }
  } finally {
    await stack.stop();
  }
  return results;
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
