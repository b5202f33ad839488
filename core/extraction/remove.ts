import { and, eq, sql } from "drizzle-orm";
import * as Place from "#core/artifact/place";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import * as Id from "#core/id";
import type { Principal } from "#core/key/key";
import { visibleKey } from "#core/key/visible";
import type { Log } from "#core/log";
import type { Services } from "#core/reading/services";
import * as Run from "#core/run/run";
import { lateWriterMs } from "#spec/functions";
import { extractTable as extract } from "./extract.sql.ts";
import type * as Row from "./row.ts";

/*
 * remove(…)     a caller removes an extract
 * forget(…)     retention removes an ended extract, and its id is free again
 * finish(…)     completes an interrupted removal
 * lookAgain(…)  removes what was written after the removal
 * objectsOf(…)  lists the objects of an extract
 */

type Stores = Pick<Services, "db" | "bucket">;

/** What was removed: the extract, and the copy of its picture if the queue had one. */
interface Deleted {
  extracts: number;
  inputs: number;
}

const notFound = () => new AppError("not_found", "there is no extract with this id");

/**
 * Removes an extract: its artifact, the records of its attempts, the copy of its picture, and all of its row except
 * the id, which stays taken. A queued extract is not read anymore. An upload that it was read from stays. The row
 * changes first, so that no work on it starts and `finish` finds an interrupted removal.
 * @throws AppError `not_found`, the same for unknown, removed and other keys' extracts; `conflict` for an item of a
 *   run (`details.reason` `item_of_run`) and while a call or a worker has it (`extract_running`);
 *   `storage_unavailable`: repeat the call.
 */
export async function remove(
  stores: Stores,
  log: Log,
  wanted: { requestId: string; keyId: string | undefined; principal: Principal },
): Promise<Deleted> {
  const { requestId: id, principal } = wanted;
  const keyId = visibleKey(principal, wanted.keyId, { log, action: "delete", what: "extract", id });
  if (!Id.isReadableId(id)) throw notFound();
  if (id.includes("~")) {
    if ((await Run.itemBy(stores.db, keyId, id)) === undefined) throw notFound();
    throw new AppError("conflict", "this is an item of a run: delete the run", {
      details: { reason: "item_of_run" },
    });
  }
  const now = new Date();
  const mine = and(eq(extract.keyId, keyId), eq(extract.requestId, id));
  // A call whose instance died has the extract only until its lease ends.
  const isFree = sql`(${extract.status} NOT IN ('running', 'deleted') OR (${extract.status} = 'running' AND ${extract.leaseUntil} < ${now.getTime()}))`;
  const [, found] = await Database.batch(stores.db, [
    stores.db.query
      .update(extract)
      .set({
        status: "deleting",
        token: sql`${extract.token} + 1`,
        endedAt: now,
        ...nothingKept,
      })
      .where(and(mine, isFree)),
    stores.db.query.select().from(extract).where(mine),
  ]);
  const row = Database.rows(extract, found)[0];
  if (row === undefined || row.status === "deleted") throw notFound();
  if (row.status !== "deleting")
    throw new AppError("conflict", "the extract is being worked on: delete it when it has ended", {
      details: { reason: "extract_running" },
      retryAfterS: 2,
    });
  const deleted = await finish(stores, log, row);
  log.info("extract_deleted", { extract_id: id, key_id: keyId, inputs: deleted.inputs });
  return deleted;
}

/**
 * Removes an ended extract together with its id, unless it was taken up again since it was read. `finish` finds an
 * interrupted removal, and `lookAgain` removes what is left.
 * @throws AppError `storage_unavailable`.
 */
export async function forget(stores: Stores, log: Log, row: Row.Row): Promise<boolean> {
  const mine = and(eq(extract.keyId, row.keyId), eq(extract.requestId, row.requestId));
  const [taken] = await Database.batch(stores.db, [
    stores.db.query
      .update(extract)
      .set({ status: "deleting", token: row.token + 1, endedAt: new Date(), ...nothingKept })
      .where(and(mine, eq(extract.token, row.token), eq(extract.status, row.status))),
  ]);
  if (taken?.rowsAffected !== 1) return false;
  await finish(stores, log, row);
  await Database.batch(stores.db, [
    stores.db.query.delete(extract).where(and(mine, eq(extract.status, "deleted"))),
  ]);
  return true;
}

/** A row that keeps only the id: no hash of a picture, no text of a failure, no address. */
const nothingKept = {
  payloadHash: "",
  artifactRel: null,
  schemaOk: null,
  errorCode: null,
  errorMessage: null,
  errorDetails: null,
  pendingArtifact: null,
  handedOverAt: null,
  sentAt: null,
  notBefore: null,
  waitingFor: null,
} as const;

/** Removes the objects of an extract that is being removed, then the rest of its row. May be repeated. */
export async function finish({ db, bucket }: Stores, log: Log, row: Row.Row): Promise<Deleted> {
  const input = row.input?.temporary ? row.input.objectKey : undefined;
  for (const rel of await objectsOf(bucket, log, row)) await Bucket.remove(bucket, log, rel);
  if (input !== undefined) await Bucket.remove(bucket, log, input);
  const [done] = await Database.batch(db, [
    db.query
      .update(extract)
      // Also finds what a worker wrote after its lease ended.
      .set({ status: "deleted", input: null, notBefore: new Date(Date.now() + lateWriterMs) })
      .where(
        and(
          eq(extract.keyId, row.keyId),
          eq(extract.requestId, row.requestId),
          eq(extract.status, "deleting"),
        ),
      ),
  ]);
  return { extracts: done?.rowsAffected ?? 0, inputs: input === undefined ? 0 : 1 };
}

/**
 * Removes what a late call or worker wrote after the extract was deleted. It runs once, when none can be left.
 * @throws AppError `storage_unavailable`: repeat the call.
 */
export async function lookAgain({ db, bucket }: Stores, log: Log, row: Row.Row): Promise<void> {
  for (const rel of await objectsOf(bucket, log, row)) await Bucket.remove(bucket, log, rel);
  const mine = and(eq(extract.keyId, row.keyId), eq(extract.requestId, row.requestId));
  await Database.batch(db, [
    db.query
      .update(extract)
      .set({ notBefore: null })
      .where(and(mine, eq(extract.status, "deleted"))),
  ]);
}

/** The keys of an extract's artifact, of the records of its attempts and of its steps. @throws AppError `storage_unavailable`. */
async function objectsOf(
  bucket: Bucket.Bucket,
  log: Log,
  row: Pick<Row.Row, "keyId" | "requestId" | "createdAt">,
): Promise<string[]> {
  const { keyId, requestId, createdAt } = row;
  const rels = [Place.extractKey(keyId, requestId, createdAt)];
  // The prefix is not just the id and a `~`: the items of a run with the same id begin with that, too.
  const prefixes = [Place.attemptPrefix, Place.stepPrefix].map((of) => of(keyId, requestId, createdAt));
  for (const prefix of prefixes)
    for (let token: string | undefined, isLast = false; !isLast; ) {
      const page = await Bucket.list(bucket, log, { prefix, token });
      rels.push(...page.objects.map(({ rel }) => rel));
      token = page.next;
      isLast = token === undefined;
    }
  return rels;
}
