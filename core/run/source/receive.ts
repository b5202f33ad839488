import { createHash } from "node:crypto";
import { and, eq, sql } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import { AppError, from, invalidRequest } from "#core/error";
import * as Type from "#core/image/type";
import type { Log } from "#core/log";
import type { Split } from "#core/reading/page-numbers";
import * as Width from "#core/run/slots/width";
import * as Allowance from "#core/usage/allowance";
import * as Storage from "#core/usage/storage";
import * as Usage from "#core/usage/usage";
import * as Webhook from "#core/webhook/webhook";
import * as EvaluateBy from "../evaluate-by.ts";
import { type RunRow, runTable as run } from "../run.sql.ts";
import type { RunStores } from "../services.ts";
import * as Begin from "./begin.ts";
import * as Inputs from "./inputs.ts";
import * as Items from "./items.ts";
import { keptKey, keptPrefix } from "./kept.ts";
import * as Labels from "./labels.ts";
import * as Pool from "./pool.ts";
import type { Picture } from "./resolve.ts";

/** A file that came with the call. */
export interface File {
  name: string;
  mimeType: string;
  bytes: Uint8Array;
}

export interface ReceiveInput extends EvaluateBy.Wish {
  task_id: string;
  concurrency: number | "auto";
  persist_inputs: boolean;
  look?: boolean | undefined;
  max_pages?: number | undefined;
  split?: Split | undefined;
  run_id?: string | undefined;
  webhook_url?: string | undefined;
  expires_after?: number | undefined;
  files: readonly File[];
}

/**
 * Makes a run of files that came with the call. The row comes first, so that every stored object belongs to a run;
 * the items come last. After a crash in between the run is `planning` until a repeat continues it or reconcile ends
 * it. Repeats store the same bytes at the same keys.
 * @throws AppError `invalid_request` for names that are invalid or not unique; otherwise as `create`.
 */
export async function receive(
  services: RunStores,
  log: Log,
  input: ReceiveInput,
  caller: Begin.Caller,
): Promise<Begin.Created> {
  await Begin.checkTask(input.task_id);
  checkFiles(input.files);
  const sums = input.files.map(({ name, bytes }) => [name, createHash("sha256").update(bytes).digest("hex")]);
  const { task_id, concurrency, persist_inputs, webhook_url, expires_after } = input;
  const payload = [
    "upload",
    task_id,
    concurrency,
    persist_inputs,
    webhook_url ?? null,
    sums,
    ...(expires_after === undefined ? [] : [expires_after]),
    ...(input.look === undefined ? [] : [{ look: input.look }]),
    ...(input.max_pages === undefined ? [] : [{ max_pages: input.max_pages }]),
    ...(input.split === undefined ? [] : [{ split: input.split }]),
    ...EvaluateBy.payloadOf(input),
  ];
  const identity = await Begin.identify(services, { runId: input.run_id, payload }, caller);
  const { known } = identity;
  if (known !== undefined && known.planning?.phase !== "receiving") return { run: known, replayed: true };
  if (webhook_url !== undefined) await Webhook.check(webhook_url, log, caller.deadline);
  // The row of a known run has it.
  const evaluateBy =
    known === undefined ? await Labels.check(services, log, input, caller.principal) : known.evaluateBy;
  const tooMany = Allowance.overRunSize(caller.principal, input.files.length);
  if (tooMany !== undefined) throw tooMany;

  if (known === undefined) {
    const bytes = input.files.reduce((sum, file) => sum + file.bytes.length, 0);
    await Storage.announce(services.db, caller.principal, { bytes, objects: input.files.length });
  }
  const row = known ?? (await announce(services, { ...input, evaluateBy }, identity, caller));
  if (row.planning?.phase !== "receiving") return { run: row, replayed: true };
  try {
    const pictures = await store(services, log, row, { files: input.files, deadline: caller.deadline });
    const started = await start(services, row, pictures, caller);
    // The run was canceled in the meantime and may have ended: what was stored since belongs to no item.
    if (started.startedAt === null) await clear(services, log, row);
    await Begin.order(services, started, log);
    return { run: started, replayed: false };
  } catch (thrown) {
    await giveUp(services, log, row, from(thrown));
    throw thrown;
  }
}

/** Inserts the row without items. */
async function announce(
  services: RunStores,
  input: ReceiveInput & Pick<RunRow, "evaluateBy">,
  identity: Begin.Identity,
  caller: Begin.Caller,
): Promise<RunRow> {
  const what = {
    evaluateBy: input.evaluateBy,
    taskId: input.task_id,
    ...Width.asked(services, input.concurrency, caller.principal),
    source: "upload" as const,
    persistInputs: input.persist_inputs,
    look: input.look ?? null,
    maxPages: input.max_pages ?? null,
    split: input.split ?? null,
    sourceRunId: null,
    webhookUrl: input.webhook_url ?? null,
    expiresAfterS: input.expires_after ?? null,
  };
  const row = Begin.draft(identity, caller, what, { planning: { phase: "receiving" } });
  const made = await Begin.commit(services, { row, identity, caller });
  if (made === undefined)
    throw await Allowance.refusal(services.db, caller.principal, input.files.length, row.createdAt);
  return made.run;
}

async function store(
  services: RunStores,
  log: Log,
  row: RunRow,
  { files, deadline }: { files: readonly File[]; deadline: number },
): Promise<Picture[]> {
  return Pool.each(files, deadline, async ({ name, mimeType, bytes }, index) => {
    const objectKey = keptKey(row, index);
    const object = { body: bytes, contentType: Type.mediaTypeOf(mimeType) };
    const etag = await Bucket.replace(services.bucket, log, objectKey, object);
    return {
      customId: null,
      file: name,
      tags: null,
      pages: null,
      split: null,
      sourceKind: "run" as const,
      objectKey,
      etag: etag ?? null,
      url: null,
      declaredMimeType: mimeType,
      kept: row.persistInputs,
      line: 0,
    };
  });
}

/**
 * Inserts the items and starts the run in one transaction. @throws AppError `rate_limited`, `conflict` if the run was
 * canceled, `storage_unavailable`.
 */
async function start(
  services: RunStores,
  row: RunRow,
  pictures: readonly Picture[],
  caller: Begin.Caller,
): Promise<RunRow> {
  const { db } = services;
  const now = new Date();
  const total = pictures.length;
  const mine = eq(run.runUid, row.runUid);
  const receiving = sql`json_extract(${run.planning}, '$.phase') = 'receiving'`;
  const results = await Database.batch(db, [
    db.query
      .update(run)
      .set({ state: "running", planning: null, total, startedAt: now, touchedAt: now })
      .where(and(mine, eq(run.state, "planning"), receiving, Allowance.allows(caller.principal, total, now))),
    Usage.countItems({ keyId: row.keyId, taskId: row.taskId, items: total, now }, sql`changes() = 1`),
    ...Items.insert(
      row.runUid,
      0,
      pictures,
      sql`EXISTS (SELECT 1 FROM ${run} WHERE run_uid = ${row.runUid} AND state = 'running' AND total = ${total})`,
    ),
    db.query.select().from(run).where(mine),
  ]);
  const found = Database.rows(run, results.at(-1))[0];
  // Started by this call, or by a faster repeat.
  if (found !== undefined && found.planning === null && found.startedAt !== null) return found;
  if (found?.state === "planning") throw await Allowance.refusal(db, caller.principal, total, now);
  if (found !== undefined && ["canceling", "finishing", "canceled"].includes(found.state)) return found;
  throw new AppError("storage_unavailable", "the run could not be started: send the same call again", {
    retryAfterS: 2,
  });
}

/**
 * Removes what a failed call stored: first the run can no longer be started, then its objects are removed, then its
 * row. Reconcile removes what is left.
 */
async function giveUp(services: RunStores, log: Log, row: RunRow, error: AppError): Promise<void> {
  const { db, bucket } = services;
  try {
    const mine = eq(run.runUid, row.runUid);
    const [ended] = await Database.batch(db, [
      db.query
        .update(run)
        .set({
          state: "failed",
          planning: null,
          errorCode: error.code,
          errorMessage: error.message,
          finishedAt: new Date(),
        })
        .where(and(mine, eq(run.state, "planning"))),
    ]);
    // A repeat is storing, has started the run, or gave up first.
    if (ended?.rowsAffected !== 1 && !(await isForsaken(db, row))) return;
    const deadline = Date.now() + services.times.httpReserveMs / 2;
    if (!(await Inputs.removeBelow(bucket, log, keptPrefix(row), { deadline }))) return;
    await Database.batch(db, [db.query.delete(run).where(and(mine, eq(run.state, "failed")))]);
  } catch (thrown) {
    log.warn("run_cleanup_failed", { run_id: row.runId, code: from(thrown).code });
  }
}

/** What is stored for this run will not be used: the run is removed, or ended before it began. */
async function isForsaken(db: Database.Db, { runUid }: RunRow): Promise<boolean> {
  const [found] = await Database.read(db.query.select().from(run).where(eq(run.runUid, runUid)));
  return found === undefined || (found.startedAt === null && found.state !== "planning");
}

/** Removes what a call stored for a run that it could not start. Objects are found by their prefix. */
async function clear({ bucket, times }: RunStores, log: Log, row: RunRow): Promise<void> {
  try {
    await Inputs.removeBelow(bucket, log, keptPrefix(row), {
      deadline: Date.now() + times.httpReserveMs / 2,
    });
  } catch (thrown) {
    log.warn("run_cleanup_failed", { run_id: row.runId, code: from(thrown).code });
  }
}

/** @throws AppError `invalid_request`. */
function checkFiles(files: readonly File[]): void {
  const wrong = (message: string) => invalidRequest([{ path: "files", message }]);
  if (files.length === 0) throw wrong("there are no files: curl -F files=@a.jpg -F files=@b.jpg");
  const names = new Map<string, number>();
  for (const [i, { name, bytes }] of files.entries()) {
    if (name === "") throw wrong("every file needs a file name");
    if (/[/\\\p{Cc}\p{Cs}]|^[A-Za-z]:|^\.{1,2}$/u.test(name)) throw wrong("a file name must not be a path");
    if (name.length > 255) throw wrong("a file name has more than 255 characters");
    if (bytes.length === 0) throw wrong("a file is empty");
    const first = names.get(name);
    if (first !== undefined)
      throw wrong(
        `file names must be unique, and the files ${first} and ${i + 1} have the same: curl -F "files=@a.jpg;filename=b.jpg" gives another`,
      );
    names.set(name, i + 1);
  }
}
