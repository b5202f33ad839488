import * as Place from "#core/artifact/place";
import { AppError, from } from "#core/error";
import type { Log } from "#core/log";
import * as Record from "#core/reading/record";
import { answerOf } from "#core/reading/record";
import type { Artifact, Extract } from "#core/reading/schema";
import type { Services } from "#core/reading/services";
import { sum, usedOf } from "#core/reading/used";
import type { Used } from "#core/usage/usage";
import { sizes } from "#spec/limits";
import * as Claim from "./claim.ts";

type Stores = Pick<Services, "db" | "bucket">;

/**
 * Stores the artifact, ends the row, and answers: with ours, or with what was there first.
 * @throws AppError the final failure itself; `storage_unavailable` when the artifact had to wait in the row.
 */
export async function conclude(
  stores: Stores,
  log: Log,
  row: Claim.Row,
  artifact: Artifact,
): Promise<Extract> {
  const rel = artifact.artifact_rel ?? "";
  const encoded = Record.encode(artifact);
  let put: "written" | "taken";
  try {
    put = await Record.put(stores.bucket, log, rel, encoded);
  } catch (thrown) {
    const failure = from(thrown);
    await keepInRow(stores, row, artifact, encoded, failure);
    throw failure;
  }
  const stored = put === "written" ? artifact : await Record.own(stores.bucket, log, rel, isOurs(row));
  if (stored === undefined) {
    // Refused as taken, yet nothing is there: another writer is still at it.
    const failure = new AppError("storage_unavailable", "the bucket could not store the answer right now", {
      retryAfterS: 2,
    });
    await keepInRow(stores, row, artifact, encoded, failure);
    throw failure;
  }
  if (stored === "foreign") return displaced(stores, row, usedOf(artifact));
  // Two workers asked the model, and only one of them ends the row.
  const lost = put === "taken" && Record.encode(stored) !== encoded;
  await settle(stores, row, stored, lost ? sum(usedOf(stored), usedOf(artifact)) : usedOf(stored));
  return answerOf(stored);
}

/**
 * What an earlier worker left for this id: an artifact put before the row was ended, or one that waits in the row
 * because the bucket was away. Ends the row from it.
 * @throws AppError the final failure, when that is what was stored; `storage_unavailable`.
 */
export async function storedBefore(
  stores: Stores,
  log: Log,
  row: Claim.Row,
  options: { evenIfNew: boolean } = { evenIfNew: false },
): Promise<Artifact | undefined> {
  // The first to hold a token finds nothing, and need not look.
  if (row.token === 1 && row.pendingArtifact === null && !options.evenIfNew) return undefined;
  const rel = Place.extractKey(row.keyId, row.requestId, row.createdAt);
  if (row.pendingArtifact !== null) await Record.put(stores.bucket, log, rel, row.pendingArtifact);
  const artifact = await Record.own(stores.bucket, log, rel, isOurs(row));
  if (artifact === undefined) return undefined;
  if (artifact === "foreign") {
    const waited = row.pendingArtifact;
    return displaced(stores, row, waited === null ? undefined : usedOf(Record.decode(waited)));
  }
  // Who put it there died before the row said so, and so it was not counted.
  await settle(stores, row, artifact, usedOf(artifact));
  return artifact;
}

/** A final failure ends the row and is thrown; a success ends the row. */
async function settle(stores: Stores, row: Claim.Row, artifact: Artifact, used: Used): Promise<void> {
  const { artifact_rel: artifactRel, error } = artifact;
  const ending: Claim.Ending =
    error === undefined
      ? { status: "succeeded", artifactRel: artifactRel ?? "", schemaOk: artifact.schema_ok === true }
      : {
          status: "failed",
          artifactRel,
          errorCode: error.code,
          errorMessage: error.message,
          errorDetails: error.details,
        };
  await Claim.commit(stores.db, row, ending, used);
  if (error === undefined) return;
  // It is an ending: whatever the code says of others, this call is not made again.
  const details = { ...error.details, artifact_rel: artifactRel };
  throw new AppError(error.code, error.message, { details, retry: false });
}

/** Its place is somebody else's: the extract has failed for good, and says so. */
async function displaced(stores: Stores, row: Claim.Row, used: Used | undefined): Promise<never> {
  const { code: errorCode, message: errorMessage, details: errorDetails } = Record.taken();
  const ending = { status: "failed", artifactRel: null, errorCode, errorMessage, errorDetails } as const;
  await Claim.commit(stores.db, row, ending, used);
  throw Record.taken();
}

const isOurs = (row: Claim.Row) => (artifact: Artifact) =>
  artifact.request_id === row.requestId &&
  artifact.payload_hash === row.payloadHash &&
  artifact.principal.key_id === row.keyId;

/** The bucket is away and the model has answered: the artifact waits in the row, and no second call is needed. */
async function keepInRow(
  stores: Stores,
  row: Claim.Row,
  artifact: Artifact,
  encoded: string,
  failure: AppError,
): Promise<void> {
  const fits = Buffer.byteLength(encoded) <= sizes.pendingArtifactBytes;
  const ending: Claim.Ending = {
    // The worker's message comes back; without a worker the next repeat of the call writes it.
    status: row.input === null ? "retryable" : "queued",
    artifactRel: null,
    errorCode: failure.code,
    errorMessage: failure.message,
    errorDetails: failure.details,
    ...(fits ? { pendingArtifact: encoded } : {}),
  };
  // What waits is counted by whoever ends the row from it.
  await Claim.commit(stores.db, row, ending, fits ? undefined : usedOf(artifact));
}
