import { AppError } from "#core/error";
import type { Log } from "#core/log";
import * as Remote from "#core/remote/remote";
import type { ItemMessage } from "#core/run/dispatch/window";
import type { ItemRow } from "#core/run/run.sql";
import type { RunServices } from "#core/run/services";
import * as Hosts from "#core/run/source/hosts";
import * as Source from "#core/source/source";
import * as Linked from "./linked.ts";

/** A read that was started: the whole picture, or only the first bytes, which show its type and size. */
export type Early = { whole: Promise<Uint8Array | undefined> } | { head: Promise<Linked.Head | undefined> };

/**
 * Starts to read the picture that the message names, in parallel with the claim, because the GPU waits while a slot
 * waits for the bucket. The result counts only if the claimed row names the same object.
 */
export function begin(
  services: Pick<RunServices, "bucket" | "model">,
  { picture }: ItemMessage,
  log: Log,
): Early | undefined {
  if (picture === undefined) return undefined;
  const { key, etag } = picture;
  const at = { objectKey: key, etag };
  const early: Early = Linked.isOn(services.model)
    ? { head: Linked.head(services.bucket, log, at) }
    : { whole: Source.reload(services.bucket, log, at) };
  // The error is thrown where the result is awaited; a stale message never awaits it.
  for (const begun of Object.values(early)) begun.catch(() => undefined);
  return early;
}

/** True if the message names the row's own picture. */
export const of = ({ objectKey, etag }: ItemRow, { picture }: ItemMessage) =>
  picture !== undefined && picture.key === objectKey && picture.etag === etag;

/**
 * Reads the item's picture, in the version that was there when its line was checked.
 * @throws AppError `conflict` if the object is gone or was replaced; `invalid_request` with `details.reason` for a
 *   URL; `image_too_large`; `storage_unavailable`.
 */
export async function load(
  services: Pick<RunServices, "bucket" | "times" | "imageUrlHosts">,
  row: ItemRow,
  { early, deadline }: { early?: Early | undefined; deadline: number },
  log: Log,
): Promise<Uint8Array> {
  if (row.sourceKind === "url") {
    return Remote.download(row.url ?? "", {
      log,
      times: services.times,
      deadline,
      protocols: ["https:"],
      // The same rule as when the line was checked, so that a listed host cannot redirect to another.
      allowsHost: (hostname) => Hosts.allows(hostname, services.imageUrlHosts),
    });
  }
  const { objectKey, etag } = row;
  const begun = early !== undefined && "whole" in early ? early.whole : undefined;
  const bytes = await (begun ?? Source.reload(services.bucket, log, { objectKey: objectKey ?? "", etag }));
  if (bytes === undefined) {
    throw new AppError("conflict", "the picture was removed or replaced since the run was made", {
      details: { reason: "upload_replaced" },
    });
  }
  return bytes;
}

/** Reasons for failures of another host that may pass. */
const passing = ["url_unreachable", "url_timeout"];

/** True for an error that may not occur in the next attempt. */
export const mayPass = ({ details }: AppError) =>
  passing.includes(String(details?.reason)) ||
  (details?.reason === "url_status" && (Number(details.status) >= 500 || details.status === 429));
