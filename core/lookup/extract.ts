import * as Breaker from "#core/breaker/breaker";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import * as Answer from "#core/extraction/answer";
import { extractTable } from "#core/extraction/extract.sql";
import * as Row from "#core/extraction/row";
import * as Id from "#core/id";
import type { Principal } from "#core/key/key";
import { visibleKey } from "#core/key/visible";
import type { Log } from "#core/log";
import { answerOf } from "#core/reading/record";
import type { Services } from "#core/reading/services";
import * as Run from "#core/run/run";

/**
 * A stored extract, for its owner or, with `admin:all_keys`, for a caller who names the key.
 * @throws AppError `not_found` for an id that this key does not have, even if another key has it.
 */
export async function get(
  stores: Pick<Services, "db" | "bucket">,
  input: { requestId: string; keyId: string | undefined; principal: Principal; log: Log },
): Promise<Answer.Outcome> {
  const { principal } = input;
  const notFound = () => new AppError("not_found", "there is no extract with this id");
  if (!Id.isReadableId(input.requestId)) throw notFound();
  const { requestId: id, log } = input;
  const keyId = visibleKey(principal, input.keyId, { log, action: "read", what: "extract", id });
  const isItem = id.includes("~");
  const { row, hold } = isItem
    ? { row: await itemRow(stores.db, keyId, id) }
    : await find(stores.db, keyId, id);
  if (row === undefined || row.status === "deleting" || row.status === "deleted") throw notFound();
  const alive = row.status === "running" && (row.input !== null || row.leaseUntil.getTime() > Date.now());
  if (row.status === "queued" || alive) {
    const retryAfterS = hold && row.status === "queued" ? secondsUntil(hold.readyAt) : undefined;
    return { kind: "running", running: Answer.running(row.requestId), retryAfterS };
  }
  const artifact = await Answer.storedOf(stores, input.log, row);
  if (artifact !== undefined) {
    const answer = answerOf(artifact);
    const mayReadRaw = principal.scopes.includes("debug:read_raw");
    return {
      kind: "done",
      answer: mayReadRaw ? { ...answer, raw: artifact.raw_model_text } : answer,
      replayed: true,
    };
  }
  if (row.status === "succeeded") throw Answer.gone();
  return { kind: "done", answer: Answer.fromRow(row), replayed: true };
}

const secondsUntil = (time: number) => Math.max(1, Math.ceil((time - Date.now()) / 1000));

/** The row, and what a pod's manager says of the model server, in one round trip. */
async function find(
  db: Database.Db,
  keyId: string,
  requestId: string,
): Promise<{ row: Answer.Stored | undefined; hold?: ReturnType<typeof Breaker.holdIn> }> {
  const statements = { row: Row.byId(db, keyId, requestId), breaker: Breaker.statement(db) };
  const found = await Database.batch(db, statements, "read");
  return { row: Database.rows(extractTable, found.row)[0], hold: Breaker.holdIn(found.breaker) };
}

/**
 * An item of a run, read as an extract. An item that was canceled before it began is a failure without a model call.
 */
async function itemRow(
  db: Database.Db,
  keyId: string,
  requestId: string,
): Promise<Answer.Stored | undefined> {
  const found = await Run.itemBy(db, keyId, requestId);
  if (found === undefined) return undefined;
  const { run, item } = found;
  const canceled = item.status === "canceled";
  return {
    ...{ keyId, requestId, taskId: run.taskId, createdAt: run.createdAt },
    status: item.status === "canceled" ? "failed" : item.status === "running" ? "queued" : item.status,
    input: item.sourceKind,
    leaseUntil: item.leaseUntil ?? run.createdAt,
    pendingArtifact: item.pendingArtifact,
    artifactRel: item.artifactRel,
    errorCode: canceled ? "conflict" : item.errorCode,
    errorMessage: canceled ? "the run was canceled before this item began" : item.errorMessage,
    errorDetails: item.errorDetails,
  };
}
