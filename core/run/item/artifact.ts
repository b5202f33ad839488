import * as Place from "#core/artifact/place";
import type * as Document from "#core/document/document";
import type { AppError } from "#core/error";
import { hashOf } from "#core/payload-hash";
import type { Performed } from "#core/reading/reading";
import * as Record from "#core/reading/record";
import { type Artifact, askedNobody } from "#core/reading/schema";
import type { ItemRow, RunRow } from "#core/run/run.sql";
import { requestIdOf } from "#core/run/serialize";

/* The artifact of an item: the record of an attempt, and the run that it belongs to. */

/** The key of the item's artifact. The artifact there decides how the item ended. */
export const artifactKey = (run: RunRow, row: ItemRow) =>
  Place.extractKey(run.keyId, requestIdOf(run, row.index), run.createdAt);

/** sha256 of what determines the item's answer: the run and its task, the index, and the picture. */
function payloadOf(run: RunRow, row: ItemRow): string {
  const { objectKey, etag, url, pages } = row;
  const split = row.split ?? run.split;
  const picture = [run.runUid, run.taskId, row.index, row.sourceKind, objectKey, etag, url];
  // Left out for items without pages, so that artifacts from before this field keep their hash.
  const paged = pages === null ? picture : [...picture, pages];
  return hashOf(split === null ? paged : [...paged, { split }]);
}

/** True if the artifact belongs to this item and this payload. */
export const isOf = (run: RunRow, row: ItemRow) => (artifact: Artifact) =>
  artifact.principal.key_id === run.keyId &&
  artifact.run?.run_uid === run.runUid &&
  artifact.run.index === row.index &&
  artifact.payload_hash === payloadOf(run, row);

/** What an artifact contains besides the attempt. */
interface About {
  /** Undefined if it was not read. */
  document: Document.Document | undefined;
  /** The run has a copy of its own of the picture. */
  kept: boolean;
  startedAt: number;
  version: string;
}

/** The owner of objects that are stored under the item's id. */
export const identityOf = (run: RunRow, row: ItemRow) => ({
  keyId: run.keyId,
  requestId: requestIdOf(run, row.index),
  taskId: run.taskId,
  createdAt: run.createdAt,
  token: row.token,
  payloadHash: payloadOf(run, row),
});

/** The artifact of an attempt. If the item may be tried again, it is stored beside the item's own key. */
export function compose(run: RunRow, row: ItemRow, performed: Performed, about: About): Artifact {
  const { document, kept, startedAt, version } = about;
  return {
    ...Record.compose(identityOf(run, row), performed, {
      input: document === undefined ? null : Record.inputOf(document, row.sourceKind, row.declaredMimeType),
      principal: { key_id: run.keyId, role: run.principalRole },
      codeVersion: version,
      totalMs: Date.now() - startedAt,
    }),
    run: { run_id: run.runId, run_uid: run.runUid, index: row.index },
    kept,
  };
}

/** An item ends even with an error after which a single call could be repeated. */
export const asEnding = (run: RunRow, row: ItemRow, artifact: Artifact): Artifact => ({
  ...artifact,
  artifact_rel: artifactKey(run, row),
});

/**
 * The failure of a picture that crashed the model server. It is not reported as an outage, even if the server did not
 * come back at once.
 */
export const asCrash = (artifact: Artifact): Artifact => ({
  ...artifact,
  error: {
    code: "inference_failed",
    message: "the model server's connection was lost at this picture every time",
    details: { reason: "connection_lost" },
  },
});

/** The artifact of an item that ended before the model was asked. */
export function failure(
  run: RunRow,
  row: ItemRow,
  error: AppError,
  about: Omit<About, "document" | "kept"> & { kept?: boolean },
): Artifact {
  const performed: Performed = {
    error,
    answer: askedNobody,
    pageSizes: [],
    timingsMs: { image: 0, inference: 0, validate: 0 },
    record: { sent: null, request: null, raw_model_text: null, finish_reason: null, attempts: [] },
  };
  // A picture that came with the run stays where it is stored, however the item ended.
  const { kept = row.sourceKind === "run" } = about;
  return asEnding(run, row, compose(run, row, performed, { ...about, document: undefined, kept }));
}
