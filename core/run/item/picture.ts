import { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as Remote from "#core/remote/remote";
import type { ItemMessage } from "#core/run/dispatch/window";
import type { ItemRow, RunRow } from "#core/run/run.sql";
import type { RunServices } from "#core/run/services";
import * as Hosts from "#core/run/source/hosts";
import { isKept, keptPrefix } from "#core/run/source/kept";
import * as Source from "#core/source/source";

/**
 * Begins to read the picture that the message names, beside the claim: while a slot waits for the bucket the GPU
 * waits for the slot. What it gives counts only if the claimed row names the same object.
 */
export function begin(
  services: Pick<RunServices, "bucket">,
  { picture }: ItemMessage,
  log: Log,
): Promise<Uint8Array | undefined> | undefined {
  if (picture === undefined) return undefined;
  const { key, etag } = picture;
  const early = Source.reload(services.bucket, log, { objectKey: key, etag });
  // Told where it is awaited; a stale message does not need it.
  early.catch(() => undefined);
  return early;
}

/** The message names the row's own picture. */
export const of = ({ objectKey, etag }: ItemRow, { picture }: ItemMessage) =>
  picture !== undefined && picture.key === objectKey && picture.etag === etag;

/**
 * The run needs a copy of its own of this picture: it keeps its inputs, and the picture may go before the run does.
 * So may another run's copy, which an item of a rerun names; what lies under the data root is the caller's.
 */
export const isCopied = (run: RunRow, { sourceKind, objectKey }: ItemRow): boolean =>
  run.persistInputs &&
  (sourceKind === "upload" ||
    sourceKind === "url" ||
    (objectKey !== null && isKept(objectKey) && !objectKey.startsWith(keptPrefix(run))));

/**
 * The item's picture, as it was when its line was checked.
 * @throws AppError `conflict` for an object that is gone or another one; `invalid_request` with `details.reason` for
 *   an address; `payload_too_large`; `storage_unavailable`.
 */
export async function load(
  services: Pick<RunServices, "bucket" | "times" | "imageUrlHosts">,
  row: ItemRow,
  { early, deadline }: { early: Promise<Uint8Array | undefined> | undefined; deadline: number },
  log: Log,
): Promise<Uint8Array> {
  if (row.sourceKind === "url") {
    return Remote.download(row.url ?? "", {
      log,
      times: services.times,
      deadline,
      protocols: ["https:"],
      // As the line was judged: a host of the list must not lead to any other.
      allowsHost: (hostname) => Hosts.allows(hostname, services.imageUrlHosts),
    });
  }
  const { objectKey, etag } = row;
  const bytes = await (early ?? Source.reload(services.bucket, log, { objectKey: objectKey ?? "", etag }));
  if (bytes === undefined) {
    throw new AppError("conflict", "the picture was removed or replaced since the run was made", {
      details: { reason: "upload_replaced" },
    });
  }
  return bytes;
}

/** Reasons of faults of another host that another try may not meet. */
const passing = ["url_unreachable", "url_timeout"];

/** True for an error that the next attempt may not meet. */
export const mayPass = ({ details }: AppError) =>
  passing.includes(String(details?.reason)) ||
  (details?.reason === "url_status" && (Number(details.status) >= 500 || details.status === 429));
