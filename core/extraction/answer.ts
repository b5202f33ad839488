import * as Place from "#core/artifact/place";
import { AppError, type Code } from "#core/error";
import type { Log } from "#core/log";
import * as Record from "#core/reading/record";
import type * as Schema from "#core/reading/schema";
import { askedNobody } from "#core/reading/schema";
import type { Services } from "#core/reading/services";
import * as Row from "./row.ts";

/* The answer to callers about an extract, from its row and its artifact. */

export type Outcome =
  | { kind: "done"; answer: Schema.Extract; replayed: boolean }
  /**
   * `away`: the model server does not answer, so waiting does not help. `retryAfterS`: when a pod that is not ready is
   * expected to be; undefined where no manager says so.
   */
  | { kind: "running"; running: Schema.Running; away?: boolean; retryAfterS?: number | undefined };

const pollUrl = (requestId: string) => `/v1/extracts/${requestId}`;

/** The columns that an answer needs. */
export type Stored = Pick<
  Row.Row,
  | "keyId"
  | "requestId"
  | "taskId"
  | "createdAt"
  | "leaseUntil"
  | "pendingArtifact"
  | "artifactRel"
  | "errorCode"
  | "errorMessage"
  | "errorDetails"
> & { status: Row.Row["status"]; input: unknown };

export const gone = () => new AppError("not_found", "what was stored for this id is no longer there");

/**
 * A failure without an artifact: the model was not asked, the work was interrupted, or the artifact could not be
 * stored.
 */
export function fromRow(row: Stored): Schema.Extract {
  const code = row.errorCode === null ? "internal" : (row.errorCode as Code);
  const message = row.errorMessage ?? Row.interrupted().message;
  return {
    request_id: row.requestId,
    task_id: row.taskId,
    created_at: row.createdAt.toISOString(),
    status: "failed",
    ...askedNobody,
    timings_ms: { total: 0, image: 0, inference: 0, validate: 0 },
    artifact_rel: null,
    error: { code, message, ...(row.errorDetails === null ? {} : { details: row.errorDetails }) },
  };
}

/** The artifact of a row, wherever it is stored: in the row, at the extract's own key, or at the key of an attempt. */
export async function storedOf(
  stores: Pick<Services, "bucket">,
  log: Log,
  row: Stored,
): Promise<Schema.Artifact | undefined> {
  if (row.pendingArtifact !== null) return Record.decode(row.pendingArtifact);
  const rel =
    row.status === "running" ? Place.extractKey(row.keyId, row.requestId, row.createdAt) : row.artifactRel;
  return rel === null ? undefined : Record.get(stores.bucket, log, rel);
}

export const running = (requestId: string): Schema.Running => ({
  request_id: requestId,
  status: "running",
  poll_url: pollUrl(requestId),
});
