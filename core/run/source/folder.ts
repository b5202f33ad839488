import * as Bucket from "#core/bucket/bucket";
import * as Version from "#core/bucket/version";
import { AppError, invalidRequest } from "#core/error";
import * as Glob from "#core/glob/glob";
import * as Type from "#core/image/type";
import { note } from "#core/key/visible";
import type { Log } from "#core/log";
import * as DataRoot from "#core/upload/data-root";
import { batches } from "#spec/limits";
import type { RunStores } from "../services.ts";
import * as Skipped from "../skipped.ts";
import * as Pool from "./pool.ts";
import { isHidden, isSystem } from "./system.ts";

/** A picture of a folder. */
export interface Found {
  /** Relative to the folder. */
  file: string;
  /** Under the data root. */
  imageKey: string;
  etag: string;
}

/** What a folder contains: each file is in one of the two. */
interface Listing {
  found: Found[];
  skipped: Skipped.Skipped;
}

/** Names that are looked at: five times as many as may match, so that a huge folder takes a bounded time. */
const listedMost = 5 * batches.folderFiles;

/** For all names together; the matcher itself bounds the time of one name. */
const matchMs = 1_000;

interface Query {
  images_dir: string;
  glob?: string | undefined;
  exts?: readonly string[] | undefined;
  limit?: number | undefined;
}

/**
 * Lists the pictures below a folder of the data root whose names fit, in the order of their keys and with their
 * current versions; and the other files, by the reason why they are left out. Without `exts` a file is a picture if
 * its extension or its first bytes say so; a bounded number of files is read for that.
 * @throws AppError `invalid_request` for a folder that is invalid or belongs to another key, for a glob that is
 *   invalid or matches nothing, and for no picture or too many; `storage_unavailable`.
 */
export async function list(
  services: Pick<RunStores, "bucket">,
  log: Log,
  query: Query,
  looking: { viewer: DataRoot.Viewer; deadline: number; looks?: number },
): Promise<Listing> {
  const dir = query.images_dir.replace(/(?<=.)\/$/, "");
  const wrong = DataRoot.problem(dir, looking.viewer);
  if (wrong !== undefined) throw at("images_dir", wrong);
  for (const owner of DataRoot.othersIn([dir], looking.viewer))
    note(looking.viewer.keyId, owner, { log, action: "read", what: "data" });
  const judge = judgeOf(query);
  const most = Math.min(query.limit ?? batches.folderFiles, batches.folderFiles);
  const found: Found[] = [];
  const skipped = Skipped.none();
  const prefix = `${DataRoot.dataRoot}${dir}/`;
  let looks: number = looking.looks ?? batches.folderLooks;
  let token: string | undefined;
  for (let listed = 0; ; ) {
    if (Date.now() > looking.deadline)
      throw new AppError("storage_unavailable", "the bucket answers too slowly right now", {
        retryAfterS: 2,
      });
    const page = await Bucket.list(services.bucket, log, { prefix, token });
    const entries = page.objects
      // Some programs write an empty object for a folder.
      .filter(({ rel, bytes }) => bytes > 0 || !rel.endsWith("/"))
      .map((object) => ({ ...object, file: object.rel.slice(prefix.length), verdict: "take" as Verdict }));
    for (const entry of entries) entry.verdict = judge(entry);
    looks -= await lookInside(services, log, entries, { looks, deadline: looking.deadline });
    for (const { file, etag, verdict } of entries) {
      if (found.length === query.limit) break;
      if (verdict !== "take") {
        Skipped.add(skipped, file, verdict === "look" ? "not_looked_at" : verdict);
        continue;
      }
      const imageKey = `${dir}/${file}`;
      if (DataRoot.shapeProblem(imageKey) !== undefined)
        throw at(
          "images_dir",
          "a file's name there has control characters, backslashes, '..' or empty parts",
        );
      if (found.length === most) throw tooMany("more than");
      found.push({ file, imageKey, etag });
    }
    listed += page.objects.length;
    token = page.next;
    if (token === undefined || found.length === query.limit) break;
    if (listed >= listedMost) throw tooMany("far more than");
  }
  if (found.length === 0) {
    const { nothing } = await import("./nothing.ts");
    throw await nothing(services, log, { dir, exts: query.exts }, skipped);
  }
  return { found, skipped };
}

const at = (path: string, message: string) => invalidRequest([{ path, message }]);

const tooMany = (how: string) =>
  at(
    "images_dir",
    `${how} ${batches.folderFiles} files: name them in a manifest instead, by manifest_ref (up to ${batches.manifestLines} lines)`,
  );

type Verdict = "take" | "look" | Skipped.Reason;

interface Entry {
  rel: string;
  file: string;
  bytes: number;
  etag: string;
  verdict: Verdict;
}

/** Decides about a file by its name and size. @throws AppError `invalid_request` at `glob`. */
function judgeOf({ glob, exts }: Query): (entry: Entry) => Verdict {
  const fits = matcher(glob ?? "**/*");
  const wanted = exts && new Set(exts.map((ext) => ext.replace(/^\./, "").toLowerCase()));
  return ({ file, bytes }) => {
    if (glob !== undefined && !fits(file)) return "excluded_by_glob";
    if (file.endsWith("/")) return "no_file";
    if (isSystem(file)) return "system";
    if (glob === undefined && isHidden(file)) return "hidden";
    if (wanted !== undefined) return wanted.has(Type.extensionOf(file)) ? "take" : "excluded_by_exts";
    if (Type.promisedBy(file) !== undefined) return "take";
    return bytes === 0 ? "empty" : "look";
  };
}

/** @throws AppError `invalid_request` at `glob`, also from the test. */
function matcher(glob: string): (file: string) => boolean {
  const problem = (message: string) => at("glob", message);
  if (/[\p{Cc}\p{Cs}]/u.test(glob)) throw problem("control characters are not allowed");
  if (glob.startsWith("/") || glob.split("/").includes(".."))
    throw problem("is relative to images_dir and stays below it");
  const guarded = <T>(work: () => T): T => {
    try {
      return work();
    } catch (thrown) {
      if (thrown instanceof Glob.GlobError) throw problem(thrown.message);
      throw thrown;
    }
  };
  const fits = guarded(() => Glob.matcher(glob));
  let spentMs = 0;
  return (file) => {
    const begun = performance.now();
    const does = guarded(() => fits(file));
    spentMs += performance.now() - begun;
    if (spentMs > matchMs) throw problem("takes too long to match: use fewer braces and groups");
    return does;
  };
}

/** Puts the likeliest pictures first: names without an extension, and extensions that programs often get wrong. */
const byPromise = (a: Entry, b: Entry) => Number(isUnlikely(a.file)) - Number(isUnlikely(b.file));
const isUnlikely = (file: string) => Type.extensionOf(file) !== "" && !Type.promisesUnread(file);

/** Reads the first bytes of files whose names are not enough, and decides about them. @returns how many were read. */
async function lookInside(
  { bucket }: Pick<RunStores, "bucket">,
  log: Log,
  entries: readonly Entry[],
  allowed: { looks: number; deadline: number },
): Promise<number> {
  const open = entries.filter(({ verdict }) => verdict === "look").sort(byPromise);
  const looked = open.slice(0, allowed.looks);
  await Pool.each(looked, allowed.deadline, async (entry) => {
    const { rel, etag, file } = entry;
    const head = await Version.beginning(bucket, log, { rel, etag, bytes: Type.headBytes });
    if (head === undefined) entry.verdict = "unreadable";
    else if (Type.sniff(head) !== undefined) entry.verdict = "take";
    else entry.verdict = Type.looksUnread(head) || Type.promisesUnread(file) ? "not_supported" : "no_picture";
  });
  // Known by their names alone.
  for (const entry of open.slice(allowed.looks))
    if (Type.promisesUnread(entry.file)) entry.verdict = "not_supported";
  return looked.length;
}
