import { runInNewContext } from "node:vm";
// The one for POSIX: keys have slashes, whatever this runs on.
import * as Objects from "#core/artifact/object";
import { AppError, invalidRequest } from "#core/error";
import type { Log } from "#core/log";
import { batches } from "#infra/limits";
import type { RunStores } from "../services.ts";
import * as Key from "./key.ts";

/** A picture of a folder. */
export interface Found {
  /** Relative to the folder. */
  file: string;
  /** Under the data root. */
  imageKey: string;
  etag: string;
}

const defaultExts = ["png", "jpg", "jpeg", "webp"];

/** Names that are looked at: five times what may match, so that a huge folder costs a bounded time. */
const listedMost = 5 * batches.folderFiles;

/** A pattern that backtracks without end is cut off; a thousand names take some milliseconds. */
const matchMs = 1_000;

/**
 * The pictures below a folder of the data root whose names fit, in the order of their keys, with the versions that lie
 * there now.
 * @throws AppError `invalid_request` for a folder that cannot be one or is not the viewer's, has no picture, or more
 *   than may be listed; `storage_unavailable`.
 */
export async function list(
  services: Pick<RunStores, "bucket">,
  log: Log,
  query: {
    images_dir: string;
    glob?: string | undefined;
    exts?: readonly string[] | undefined;
    limit?: number | undefined;
  },
  looking: { viewer: Key.Viewer; deadline: number },
): Promise<Found[]> {
  const dir = query.images_dir.replace(/(?<=.)\/$/, "");
  const wrong = Key.problem(dir, looking.viewer);
  if (wrong !== undefined) throw at("images_dir", wrong);
  const fits = await matcher(query.glob ?? "**/*", query.exts ?? defaultExts);
  const most = Math.min(query.limit ?? batches.folderFiles, batches.folderFiles);
  const found: Found[] = [];
  const prefix = `${Key.dataRoot}${dir}/`;
  let token: string | undefined;
  for (let listed = 0; ; ) {
    if (Date.now() > looking.deadline)
      throw new AppError("storage_unavailable", "the bucket answers too slowly right now", {
        retryAfterS: 2,
      });
    const page = await Objects.list(services.bucket, log, { prefix, token });
    const entries = page.objects
      // Some programs write an empty object for a folder.
      .filter(({ rel }) => !rel.endsWith("/"))
      .map(({ rel, etag }) => ({ file: rel.slice(prefix.length), etag }));
    for (const i of fits(entries.map(({ file }) => file))) {
      const { file, etag } = entries[i] as (typeof entries)[number];
      const imageKey = `${dir}/${file}`;
      if (Key.shapeProblem(imageKey) !== undefined)
        throw at(
          "images_dir",
          "a file's name there has control characters, backslashes, '..' or empty parts",
        );
      if (found.length === most && query.limit === undefined) throw tooMany("more than");
      if (found.length < most) found.push({ file, imageKey, etag });
    }
    listed += page.objects.length;
    token = page.next;
    if (token === undefined || (query.limit !== undefined && found.length === query.limit)) break;
    if (listed >= listedMost) throw tooMany("far more than");
    if (query.limit !== undefined && found.length === most) throw tooMany("more than");
  }
  if (found.length === 0) throw at("images_dir", "no pictures: nothing there fits glob and exts");
  return found;
}

const at = (path: string, message: string) => invalidRequest([{ path, message }]);

const tooMany = (how: string) =>
  at(
    "images_dir",
    `${how} ${batches.folderFiles} files: name them in a manifest instead, by manifest_ref (up to ${batches.manifestLines} lines)`,
  );

/** Which of some relative names fit, by their places. @throws AppError `invalid_request` at `glob`. */
async function matcher(
  glob: string,
  exts: readonly string[],
): Promise<(files: readonly string[]) => number[]> {
  // Loaded by the calls that name a folder; a CommonJS package that is loaded late has its exports in `default`.
  const picomatch = (await import("picomatch/posix.js")).default;
  const wanted = new Set(exts.map((ext) => ext.replace(/^\./, "").toLowerCase()));
  const problem = (message: string) => at("glob", message);
  if (/[\p{Cc}\p{Cs}]/u.test(glob)) throw problem("control characters are not allowed");
  if (glob.startsWith("/") || glob.split("/").includes(".."))
    throw problem("is relative to images_dir and stays below it");
  let matches: (file: string) => boolean;
  try {
    matches = picomatch(glob);
  } catch {
    throw problem("not a glob");
  }
  return (files) => {
    const select = () =>
      files.flatMap((file, i) => {
        const ext = file.slice(file.lastIndexOf(".") + 1).toLowerCase();
        return file.includes(".") && wanted.has(ext) && matches(file) ? [i] : [];
      });
    try {
      // The time limit of a context is the only one that stops a regular expression.
      return runInNewContext("select()", { select }, { timeout: matchMs }) as number[];
    } catch (thrown) {
      // An error of the other context, perhaps: it is known by its code alone.
      if ((thrown as { code?: unknown } | null)?.code === "ERR_SCRIPT_EXECUTION_TIMEOUT")
        throw problem("takes too long to match: use fewer stars");
      throw thrown;
    }
  };
}
