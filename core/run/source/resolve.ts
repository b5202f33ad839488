import { type SQL, sql } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import { AppError, invalidRequest } from "#core/error";
import { note } from "#core/key/visible";
import type { Log } from "#core/log";
import type { Split } from "#core/reading/page-numbers";
import * as DataRoot from "#core/upload/data-root";
import * as Upload from "#core/upload/upload";
import { uploadTable } from "#core/upload/upload.sql";
import * as Utf8 from "#core/utf8";
import { batches } from "#spec/limits";
import { itemTable } from "../run.sql.ts";
import type { ExtractError, ManifestLine } from "../schema.ts";
import type { RunStores } from "../services.ts";
import type { Tags } from "../tags.ts";
import * as Hosts from "./hosts.ts";
import type { Entry } from "./line.ts";
import * as Pool from "./pool.ts";

/** A picture that a run will read: the columns of an item's row that say where it is. */
export interface Picture {
  customId: string | null;
  file: string | null;
  tags: Tags | null;
  pages: number[] | null;
  split: Split | null;
  sourceKind: "upload" | "data" | "url" | "run";
  objectKey: string | null;
  etag: string | null;
  url: string | null;
  declaredMimeType: string | null;
  /** It is already at the run's own key, and stays there. */
  kept: boolean;
  /** The line that named it; 0 if there are no lines. */
  line: number;
}

/** What a look-up needs, and its deadline. */
export interface Looking {
  viewer: DataRoot.Viewer;
  /** Epoch milliseconds. */
  deadline: number;
}

/**
 * Looks up the pictures of valid lines. An upload is pinned to the version that was read first, a key to the current
 * version, so a later replacement does not change what the run reads.
 * @returns the pictures in order, and the mistakes; a line with a mistake has no picture.
 * @throws AppError `storage_unavailable`.
 */
export async function resolve(
  services: Pick<RunStores, "db" | "bucket" | "imageUrlHosts">,
  log: Log,
  entries: readonly Entry[],
  looking: Looking,
): Promise<{ pictures: Picture[]; issues: ExtractError[] }> {
  const refs = entries.flatMap(({ value }) => value.image_ref ?? []);
  const uploads = await Upload.announced(services.db, looking.viewer.keyId, refs);
  const found = entries.map((entry) => locate(services, entry, looking.viewer, uploads));
  const named = entries.flatMap(({ value, etag }) => (etag === undefined ? (value.image_key ?? []) : []));
  if (looking.viewer.allKeys)
    for (const owner of DataRoot.othersIn(named, looking.viewer))
      note(looking.viewer.keyId, owner, { log, action: "read", what: "data" });
  const keys = new Set(
    found.flatMap((at) => ("objectKey" in at && at.etag === undefined ? at.objectKey : [])),
  );
  const versions = await versionsOf(services, log, [...keys], looking.deadline);
  const pinned = await pin(services, uploads, versions);

  const pictures: Picture[] = [];
  const issues: ExtractError[] = [];
  for (const [i, entry] of entries.entries()) {
    const at = found[i] as Located;
    const { line, value } = entry;
    const common = { ...namesOf(value), kept: false, line };
    const nowhere = { objectKey: null, etag: null, url: null, declaredMimeType: null };
    if ("problem" in at) {
      issues.push({ line, path: at.path, message: at.problem });
    } else if ("url" in at) {
      pictures.push({ ...common, ...nowhere, sourceKind: "url", url: at.url });
    } else {
      const { objectKey, upload } = at;
      const etag = at.etag ?? versions.get(objectKey);
      const problem = problemOf(etag, upload === undefined ? undefined : pinned.get(upload.ref));
      const path = upload === undefined ? "image_key" : "image_ref";
      if (problem !== undefined || etag === undefined)
        issues.push({ line, path, message: problem ?? missing });
      else
        pictures.push({
          ...common,
          ...nowhere,
          sourceKind: upload === undefined ? "data" : "upload",
          objectKey,
          etag,
          declaredMimeType: upload?.mimeType ?? null,
        });
    }
  }
  return { pictures, issues };
}

const namesOf = ({ custom_id, file, tags = {}, pages, split }: ManifestLine) => ({
  ...{ pages: pages ?? null, split: split ?? null },
  ...{ customId: custom_id ?? null, file: file ?? null },
  tags: Object.keys(tags).length === 0 ? null : tags,
});

type Located =
  | { path: string; problem: string }
  | { url: string }
  | { objectKey: string; upload?: Upload.Row; etag?: string };

const missing = "nothing lies there";

function locate(
  services: Pick<RunStores, "imageUrlHosts">,
  { value, etag }: Entry,
  viewer: DataRoot.Viewer,
  uploads: ReadonlyMap<string, Upload.Row>,
): Located {
  const { image_ref, image_key, image_url } = value;
  if (image_ref !== undefined) {
    const upload = uploads.get(image_ref);
    const path = "image_ref";
    if (upload === undefined) return { path, problem: "there is no upload with this image_ref" };
    if (upload.kind !== "image") return { path, problem: "this upload is not a picture" };
    return { objectKey: upload.objectKey, upload };
  }
  if (image_key !== undefined) {
    const objectKey = `${DataRoot.dataRoot}${image_key}`;
    if (etag !== undefined) return { objectKey, etag };
    const problem = DataRoot.problem(image_key, viewer);
    return problem === undefined ? { objectKey } : { path: "image_key", problem };
  }
  const checked = Hosts.check(image_url ?? "", services.imageUrlHosts);
  return "problem" in checked ? { path: "image_url", problem: checked.problem } : { url: checked.url.href };
}

function problemOf(etag: string | undefined, pinned: string | undefined): string | undefined {
  if (etag === undefined)
    return pinned === undefined ? missing : "the uploaded file was removed since it was first read";
  if (pinned !== undefined && pinned !== etag)
    return "the uploaded file was replaced since it was first read";
  return undefined;
}

async function versionsOf(
  services: Pick<RunStores, "bucket">,
  log: Log,
  keys: readonly string[],
  deadline: number,
): Promise<Map<string, string>> {
  const versions = new Map<string, string>();
  await Pool.each(keys, deadline, async (key) => {
    const version = await Bucket.head(services.bucket, log, key);
    if (version !== undefined) versions.set(key, version.etag);
  });
  return versions;
}

/** The valid version of each upload, by ref; an upload that was never read gets the current one. */
async function pin(
  services: Pick<RunStores, "db">,
  uploads: ReadonlyMap<string, Upload.Row>,
  versions: ReadonlyMap<string, string>,
): Promise<Map<string, string>> {
  const pinned = new Map<string, string>();
  const fresh: { ref: string; etag: string }[] = [];
  for (const { ref, etag, objectKey } of uploads.values()) {
    const seen = versions.get(objectKey);
    if (etag !== null) pinned.set(ref, etag);
    else if (seen !== undefined) fresh.push({ ref, etag: seen });
  }
  for (const [ref, etag] of await Upload.pin(services.db, fresh)) pinned.set(ref, etag);
  return pinned;
}

/** Names that occur twice among these lines, reported at the second. */
export function repeated(entries: readonly Entry[]): ExtractError[] {
  const issues: ExtractError[] = [];
  for (const path of ["custom_id", "file"] as const) {
    const seen = new Map<string, number>();
    for (const { line, value } of entries) {
      const name = value[path];
      if (name === undefined) continue;
      const first = seen.get(name);
      if (first === undefined) seen.set(name, line);
      else issues.push({ line, path, message: `the same as in line ${first}` });
    }
  }
  return issues;
}

/** Names of these lines that earlier chunks contain. */
export async function known(
  { db }: Pick<RunStores, "db">,
  runUid: string,
  { first, count }: { first: number; count: number },
  entries: readonly Entry[],
): Promise<ExtractError[]> {
  const paths = ["custom_id", "file"] as const;
  const named = (path: (typeof paths)[number]) => {
    const names = JSON.stringify(entries.flatMap(({ value }) => value[path] ?? []));
    const column = sql.identifier(path);
    // By name: the plus signs keep SQLite from reading all items of the run.
    return Database.statement(
      sql`SELECT ${column} AS name FROM ${itemTable} WHERE run_uid = ${runUid} AND ${column} IN (SELECT value FROM json_each(${names})) AND (+idx < ${first} OR +idx >= ${first + count})`,
    );
  };
  const results = await Database.batch(db, paths.map(named), "read");
  return paths.flatMap((path, i) => {
    const taken = new Set(results[i]?.rows.map(({ name }) => name));
    return entries
      .filter(({ value }) => taken.has(value[path] ?? null))
      .map(({ line }) => ({ line, path, message: "the same as in an earlier line" }));
  });
}

/** True while the uploads of these pictures have rows: a run that ends may remove those that no other work needs. */
export function uploadsAreThere(pictures: readonly Picture[]): SQL {
  const keys = new Set(
    pictures.flatMap(({ sourceKind, objectKey }) => (sourceKind === "upload" && objectKey ? objectKey : [])),
  );
  if (keys.size === 0) return sql`true`;
  const refs = JSON.stringify([...keys].map(Upload.refOf));
  return sql`(SELECT count(*) FROM ${uploadTable} WHERE ref IN (SELECT value FROM json_each(${refs}))) = ${keys.size}`;
}

/** The manifest is not the version that was read first. */
export const replaced = () =>
  new AppError("conflict", "the manifest was removed or replaced since it was first read", {
    details: { reason: "upload_replaced" },
  });

/** The error for a manifest without lines. */
export const empty: ExtractError = { line: 1, path: "", message: "the manifest has no lines" };

/** One error with the first mistakes of a source, and their number. */
export function refused(issues: readonly ExtractError[], count = issues.length): AppError {
  const first = firstOf(issues);
  const { reason } = Utf8;
  return invalidRequest(first, {
    details: { ...(Utf8.isAbout(first[0]?.message) ? { reason } : {}), issue_count: count },
    count,
  });
}

/** The first mistakes in the order of their lines. */
export const firstOf = (issues: readonly ExtractError[]): ExtractError[] =>
  [...issues].sort((a, b) => a.line - b.line).slice(0, batches.namedIssues);
