import * as Place from "#core/artifact/place";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as Conclude from "#core/reading/conclude";
import * as Record from "#core/reading/record";
import type { Artifact, Extract } from "#core/reading/schema";
import type { Services } from "#core/reading/services";
import { sum, usedOf } from "#core/reading/used";
import * as Row from "./row.ts";

type Stores = Pick<Services, "db" | "bucket">;

/**
 * Stores the artifact, ends the row, and returns the answer: our artifact, or the one that was there first.
 * @throws AppError the final failure itself; `storage_unavailable` if the artifact had to be kept in the row.
 */
export async function conclude(
  { db, bucket }: Stores,
  log: Log,
  row: Row.Row,
  artifact: Artifact,
): Promise<Extract> {
  return Record.answerOf(await Conclude.conclude(bucket, log, claimedOf(db, row), artifact));
}

/**
 * Ends the row from the artifact that an earlier worker stored.
 * @throws AppError the final failure, if that was stored; `storage_unavailable`.
 */
export async function storedBefore(
  { db, bucket }: Stores,
  log: Log,
  row: Row.Row,
  options?: { evenIfNew: boolean },
): Promise<Artifact | undefined> {
  return Conclude.storedBefore(bucket, log, claimedOf(db, row), options);
}

/** A final failure ends the row and is thrown; a success ends the row. */
function claimedOf(db: Services["db"], row: Row.Row): Conclude.Claimed<Artifact> {
  const { token, pendingArtifact, keyId, requestId, createdAt, payloadHash } = row;
  return {
    token,
    pendingArtifact,
    rel: Place.extractKey(keyId, requestId, createdAt),
    isOurs: (artifact) =>
      artifact.request_id === requestId &&
      artifact.payload_hash === payloadHash &&
      artifact.principal.key_id === keyId,
    commit: async (stored, lost) => {
      const { artifact_rel: artifactRel, error } = stored;
      const ending: Row.Ending =
        error === undefined
          ? { status: "succeeded", artifactRel: artifactRel ?? "", schemaOk: stored.schema_ok === true }
          : { ...Row.failureOf(error), status: "failed", artifactRel };
      // Two workers asked the model, and one of them ends the row.
      const { callsCounted } = row;
      const own = usedOf(stored, callsCounted);
      const used = lost === undefined ? own : sum(own, usedOf(lost, callsCounted));
      await Row.commit(db, row, ending, used);
      if (error === undefined) return stored;
      // The failure is final: this call is not made again, whatever its code means elsewhere.
      const details = { ...error.details, artifact_rel: artifactRel };
      throw new AppError(error.code, error.message, { details, retry: false });
    },
    displace: async (mine) => {
      const taken = Record.taken();
      const ending = { ...Row.failureOf(taken), status: "failed", artifactRel: null } as const;
      await Row.commit(db, row, ending, mine && usedOf(mine, row.callsCounted));
      throw taken;
    },
    keep: async (artifact, encoded, failure) => {
      const ending: Row.Ending = {
        ...Row.failureOf(failure),
        // The worker's message comes back. Without a worker the next repeat of the call stores it.
        status: row.input === null ? "retryable" : "queued",
        artifactRel: null,
        ...(encoded === undefined ? {} : { pendingArtifact: encoded }),
      };
      // Counted when the row is ended from it.
      const used = encoded === undefined ? usedOf(artifact, row.callsCounted) : undefined;
      await Row.commit(db, row, ending, used);
    },
  };
}
