import { sql } from "drizzle-orm";
import * as Objects from "#core/artifact/object";
import * as Database from "#core/db/client";
import { AppError } from "#core/error";
import type { Log } from "#core/log";
import { itemTable as item, type RunRow } from "../run.sql.ts";
import type { RunStores } from "../services.ts";
import * as Items from "./items.ts";
import * as Pool from "./pool.ts";

/** Said of a run whose pictures went with it. */
export const inputsNotKept = () =>
  new AppError(
    "conflict",
    "the pictures of this run were not kept: make runs with persist_inputs to run them again",
    {
      details: { reason: "inputs_not_kept" },
    },
  );

/** An item of the source run, as far as a rerun must know it. */
export interface Chosen {
  index: number;
  upload: { objectKey: string; etag: string | null } | undefined;
}

/** The next chosen items behind `after`. @throws AppError `storage_unavailable`. */
export async function chunk(
  services: Pick<RunStores, "db">,
  source: Pick<RunRow, "runUid">,
  only: "all" | "failed",
  after: number,
  most: number,
): Promise<Chosen[]> {
  const [result] = await Database.batch(
    services.db,
    [
      Database.statement(
        sql`SELECT idx, source_kind, object_key, etag, kept FROM ${item} WHERE ${Items.chosen(source.runUid, only)} AND ${item.index} > ${after} ORDER BY ${item.index} LIMIT ${most}`,
      ),
    ],
    "read",
  );
  return (result?.rows ?? []).map(({ idx, source_kind, object_key, etag, kept }) => ({
    index: Number(idx),
    upload:
      source_kind === "upload" && Number(kept) === 0
        ? { objectKey: String(object_key), etag: etag === null ? null : String(etag) }
        : undefined,
  }));
}

/**
 * Uploads that were not copied must still be what they were.
 * @throws AppError `conflict` with `details.reason` `inputs_not_kept`, `storage_unavailable`.
 */
export async function checkUploads(
  services: Pick<RunStores, "bucket">,
  log: Log,
  chosen: readonly Chosen[],
  deadline: number,
): Promise<void> {
  const uploads = chosen.flatMap(({ upload }) => upload ?? []);
  await Pool.each(uploads, deadline, async ({ objectKey, etag }) => {
    const seen = await Objects.version(services.bucket, log, objectKey);
    if (seen === undefined || (etag !== null && seen.etag !== etag)) throw inputsNotKept();
  });
}
