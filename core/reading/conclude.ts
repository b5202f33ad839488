import type * as Bucket from "#core/bucket/bucket";
import { AppError, from } from "#core/error";
import type { Log } from "#core/log";
import { sizes } from "#spec/limits";
import * as Record from "./record.ts";
import type { Artifact } from "./schema.ts";

/*
 * The end of an extract or an item: the artifact at its own key decides, and is put only if there is none; then the
 * row is ended. After a crash in between the next worker finds the artifact and ends the row from it.
 */

/** A row that was claimed, as far as its ending is concerned. */
export interface Claimed<Ended> {
  /** The fencing token; 1 for the first claim. */
  token: number;
  /** An answer that waits in the row for the bucket. */
  pendingArtifact: string | null;
  /** The key of the artifact that decides. */
  rel: string;
  /** The artifact is this row's, and of the same payload. */
  isOurs(artifact: Artifact): boolean;
  /**
   * Ends the row from the artifact that decides. @param lost - the artifact of another attempt that came too late.
   */
  commit(stored: Artifact, lost?: Artifact): Promise<Ended>;
  /**
   * Ends the row as failed because the artifact at its key belongs to another row. @param mine - the artifact that
   * would have been put there.
   */
  displace(mine: Artifact | undefined): Promise<Ended>;
  /** Requeues the row, with the answer in it if that is small enough, so that the model need not be asked again. */
  keep(artifact: Artifact, encoded: string | undefined, failure: AppError): Promise<void>;
}

/**
 * Stores the artifact and ends the row by it. If another artifact was stored first, that one decides.
 * @throws AppError `storage_unavailable` when the artifact had to wait in the row; what `commit` and `displace` throw.
 */
export async function conclude<Ended>(
  bucket: Bucket.Bucket,
  log: Log,
  claimed: Claimed<Ended>,
  artifact: Artifact,
): Promise<Ended> {
  const encoded = Record.encode(artifact);
  let stored: Artifact | "foreign";
  try {
    stored = await put(bucket, log, claimed, { artifact, encoded });
  } catch (thrown) {
    const failure = from(thrown);
    await claimed.keep(artifact, smallEnough(artifact, encoded), failure);
    throw failure;
  }
  if (stored === "foreign") return claimed.displace(artifact);
  const isOther = stored !== artifact && Record.encode(stored) !== encoded;
  return claimed.commit(stored, isOther ? artifact : undefined);
}

/**
 * The artifact as it may wait in the row, without evidence that the answer does not need; undefined if it is too large.
 */
function smallEnough(artifact: Artifact, encoded: string): string | undefined {
  const { text_layer: layer, ...rest } = artifact;
  const all = layer === undefined ? [encoded] : [encoded, Record.encode(rest)];
  return all.find((text) => Buffer.byteLength(text) <= sizes.pendingArtifactBytes);
}

/** @returns the artifact at the row's key afterwards. @throws AppError `storage_unavailable`. */
async function put(
  bucket: Bucket.Bucket,
  log: Log,
  { rel, isOurs }: Pick<Claimed<unknown>, "rel" | "isOurs">,
  { artifact, encoded }: { artifact: Artifact; encoded: string },
): Promise<Artifact | "foreign"> {
  if ((await Record.put(bucket, log, rel, encoded)) === "written") return artifact;
  const stored = await Record.own(bucket, log, rel, isOurs);
  if (stored !== undefined) return stored;
  // The write was refused as taken, but nothing is there: another writer is not finished.
  throw new AppError("storage_unavailable", "the bucket could not store the answer right now", {
    retryAfterS: 2,
  });
}

/**
 * Ends the row from what an earlier worker left: an artifact that was put before the row was ended, or one that waits
 * in the row.
 * @param options.evenIfNew - look even for the first claim; otherwise there is something only if a worker died.
 * @returns undefined if there is nothing.
 * @throws AppError `storage_unavailable`; what `commit` and `displace` throw.
 */
export async function storedBefore<Ended>(
  bucket: Bucket.Bucket,
  log: Log,
  claimed: Claimed<Ended>,
  options: { evenIfNew: boolean } = { evenIfNew: false },
): Promise<Ended | undefined> {
  const { token, pendingArtifact: pending, rel } = claimed;
  if (token <= 1 && pending === null && !options.evenIfNew) return undefined;
  if (pending !== null) await Record.put(bucket, log, rel, pending);
  const stored = await Record.own(bucket, log, rel, claimed.isOurs);
  if (stored === undefined) return undefined;
  return stored === "foreign"
    ? claimed.displace(pending === null ? undefined : Record.decode(pending))
    : claimed.commit(stored);
}
