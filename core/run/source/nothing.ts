/** Explains why a folder gave no picture: which option left all files out, and what is there instead. */
import * as Bucket from "#core/bucket/bucket";
import { type AppError, invalidRequest } from "#core/error";
import type { Log } from "#core/log";
import * as Near from "#core/near";
import * as DataRoot from "#core/upload/data-root";
import type { RunStores } from "../services.ts";
import type * as Skipped from "../skipped.ts";

interface Query {
  /** Without a trailing slash. */
  dir: string;
  exts?: readonly string[] | undefined;
}

/** @throws AppError `storage_unavailable`. */
export async function nothing(
  services: Pick<RunStores, "bucket">,
  log: Log,
  { dir, exts }: Query,
  { count, by_reason: by }: Skipped.Skipped,
): Promise<AppError> {
  const one = (path: string, message: string, details = {}) =>
    invalidRequest([{ path, message }], { details });
  if (count === 0) return one("images_dir", `no pictures: ${await instead(services, log, dir)}`);
  const details = { skipped: { count, by_reason: by } };
  const [fits, isOnly] =
    count === 1
      ? ["the only file there does not fit", true]
      : [`none of the ${count} files there fits`, false];
  if (by.excluded_by_glob === count) return one("glob", `no pictures: ${fits} it`, details);
  if (by.excluded_by_exts !== undefined && exts !== undefined)
    return one("exts", `no pictures: ${fits} glob and exts`, details);
  return one(
    "images_dir",
    isOnly ? "no pictures: the only file there is none" : `no pictures among the ${count} files there`,
    details,
  );
}

/** Similar names for an empty folder. Only names that the caller could list are shown. */
async function instead({ bucket }: Pick<RunStores, "bucket">, log: Log, dir: string): Promise<string> {
  if (dir.startsWith(DataRoot.dataRoot))
    return "nothing lies there: images_dir is below the data root, so leave data/ out in front";
  if ((await Bucket.head(bucket, log, DataRoot.dataRoot + dir)) !== undefined)
    return "that is a file: name the folder that it is in, or the file in a manifest, by image_key";
  const parent = dir.slice(0, dir.lastIndexOf("/") + 1);
  const look = "npm run ocrlty -- data ls shows what there is";
  // At the root the names would be those of all keys.
  if (parent === "") return `nothing lies there: ${look}`;
  const prefix = DataRoot.dataRoot + parent;
  const { prefixes } = await Bucket.list(bucket, log, { prefix, delimiter: "/" });
  const folders = prefixes.map((each) => each.slice(DataRoot.dataRoot.length, -1));
  const near = Near.near(
    dir.slice(parent.length),
    folders.map((each) => each.slice(parent.length)),
  );
  return near.length === 0
    ? `nothing lies there: ${look}`
    : `nothing lies there: did you mean ${Near.anyOf(near.map((name) => parent + name))}?`;
}
