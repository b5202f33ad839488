import { and, eq, sql } from "drizzle-orm";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import type { Log } from "#core/log";
import { post } from "#core/remote/post";
import { RefusedError } from "#core/remote/resolve";
import { type RunRow, runTable } from "#core/run/run.sql";
import * as Serialize from "#core/run/serialize";
import type { RunStores } from "#core/run/services";
import type { WebhookAttempt } from "#core/run/webhook-attempt";
import * as Secret from "#core/webhook/secret";
import { reach } from "#core/webhook/webhook";
import * as Due from "./due.ts";
import type { RunEnded } from "./schema.ts";

type Stores = Pick<RunStores, "db" | "queues" | "times">;

/** The states of a run that cause a webhook. */
const ended = new Set<RunRow["state"]>(["succeeded", "failed", "canceled"]);

/** "Gone": the receiver refuses further calls. */
const gone = 410;

/**
 * Makes one attempt to tell the receiver that a run has ended: POSTs `{type, timestamp, data: Run}`, signed by the
 * Standard Webhooks scheme (https://www.standardwebhooks.com), under the rules of `check` and without following
 * redirects. Any 2xx is a delivery. The attempt is written into the run's row by compare-and-set before the next one
 * is ordered, so each is recorded once. A crash before that makes the same call arrive twice, with one `webhook-id`.
 * No call is made if the run is deleted, was delivered, or has this attempt recorded. While the host does not answer
 * no call is made either, and no attempt counts.
 * @throws AppError `storage_unavailable`: the message must come back.
 */
export async function deliver(stores: Stores, message: Due.Message, log: Log): Promise<void> {
  const run = await find(stores.db, message.run_uid);
  if (run === undefined) {
    const keyId = await Due.remove(stores.db, message.run_uid);
    if (keyId !== undefined) await Due.next(stores, keyId);
    return;
  }
  const attempts = run.webhook ?? [];
  const recorded = attempts[message.attempt - 1];
  const settle = ({ ok, status, at }: WebhookAttempt) =>
    Due.settle(
      stores,
      run,
      { attempt: message.attempt, at: Date.parse(at), over: ok || status === gone },
      log,
    );
  if (recorded !== undefined) {
    // The worker died before it stored when the next attempt is due.
    if (attempts.length === message.attempt) await settle(recorded);
    return;
  }
  const isTold = attempts.some(({ ok }) => ok);
  if (isTold || attempts.length !== message.attempt - 1) return;
  const { secrets, silentUntil } = await known(stores.db, run);
  if (silentUntil === undefined) {
    const attempt = await call(run, secrets, stores.times.webhookTimeoutMs);
    const fields = {
      run_uid: run.runUid,
      attempt: message.attempt,
      status: attempt.status,
      duration_ms: attempt.duration_ms,
    };
    if (attempt.ok) log.info("webhook_sent", fields);
    else log.warn("webhook_failed", { ...fields, reason: attempt.error ?? "status" });
    const recorded = await record(stores.db, run.runUid, message.attempt, attempt);
    // Only calls that were made say whether the host answers.
    if (attempt.status !== null || silences.has(attempt.error ?? ""))
      await Due.heard(stores, run, attempt.status !== null);
    if (recorded) await settle(attempt);
  } else await Due.postpone(stores, run.runUid, silentUntil, log);
  // Orders the key's next call: a key has one call under way at a time.
  await Due.next(stores, run.keyId);
}

/** Reasons of calls without an answer. Other reasons refuse a call before it is made. */
const silences: ReadonlySet<string> = new Set(["url_timeout", "url_unreachable"]);

async function known(
  db: Database.Db,
  run: RunRow & { webhookUrl: string },
): Promise<{ secrets: readonly string[]; silentUntil: Date | undefined }> {
  const [secrets, [host]] = await Promise.all([
    Secret.of(db, Config.webhook().secrets, run.keyId),
    Database.read(Due.hostStatement(db, run)),
  ]);
  return { secrets, silentUntil: Due.silentUntil(host) };
}

async function find(db: Database.Db, runUid: string): Promise<(RunRow & { webhookUrl: string }) | undefined> {
  const [row] = await Database.read(db.query.select().from(runTable).where(eq(runTable.runUid, runUid)));
  if (row === undefined || !ended.has(row.state) || row.webhookUrl === null) return undefined;
  return { ...row, webhookUrl: row.webhookUrl };
}

/** Makes one call. Every failure is recorded in the attempt. */
async function call(
  run: RunRow & { webhookUrl: string },
  secrets: readonly string[],
  timeoutMs: number,
): Promise<WebhookAttempt> {
  const at = new Date();
  const end = (status: number | null, error: string | null): WebhookAttempt => ({
    at: at.toISOString(),
    ok: status !== null && status >= 200 && status < 300,
    status,
    error,
    duration_ms: Date.now() - at.getTime(),
  });
  if (secrets.length === 0) return end(null, "webhooks_off");
  const data = Serialize.run(run, 0);
  const told: RunEnded = {
    type: `run.${run.state}` as RunEnded["type"],
    timestamp: (run.finishedAt ?? at).toISOString(),
    data,
  };
  const body = JSON.stringify(told);
  const headers = Secret.headers(secrets, { id: `msg_${run.runUid}`, at, body });
  const { world, protocols } = reach();
  try {
    return end(await post(run.webhookUrl, { headers, body, protocols, timeoutMs }, world), null);
  } catch (thrown) {
    if (!(thrown instanceof RefusedError)) throw thrown;
    return end(null, thrown.reason);
  }
}

/** @returns false if this attempt is already recorded, or the run is being deleted. */
async function record(
  db: Database.Db,
  runUid: string,
  number: number,
  attempt: WebhookAttempt,
): Promise<boolean> {
  const known = sql`coalesce(${runTable.webhook}, '[]')`;
  const update = db.query
    .update(runTable)
    .set({ webhook: sql`json_insert(${known}, '$[#]', json(${JSON.stringify(attempt)}))` })
    .where(
      and(
        eq(runTable.runUid, runUid),
        sql`json_array_length(${known}) = ${number - 1}`,
        sql`${runTable.state} NOT IN ('deleting', 'deleted')`,
      ),
    );
  const [result] = await Database.batch(db, [update]);
  return result?.rowsAffected === 1;
}
