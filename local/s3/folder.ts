import { createHash } from "node:crypto";
import { type BigIntStats, type Dirent, lstatSync, readdirSync, realpathSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join, sep } from "node:path";
import type { StoredObject } from "#local/s3/catalog";

/** An object that is a file somewhere else, and was not stored here. */
export interface FolderObject extends StoredObject {
  file: string;
}

export interface FolderOptions {
  /** Absolute; need not exist. */
  dir: string;
  bucket: string;
  /** The common beginning of the keys of its files; ends in a slash, or is empty. */
  prefix: string;
}

/** The media type that an upload of such a file would have; others are bytes. */
const types: Record<string, string> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  webp: "image/webp",
  gif: "image/gif",
  bmp: "image/bmp",
  heic: "image/heic",
  heif: "image/heif",
  avif: "image/avif",
  tif: "image/tiff",
  tiff: "image/tiff",
  pdf: "application/pdf",
  json: "application/json",
  jsonl: "application/x-ndjson",
};

const chunkBytes = 256 * 1024;
const maxKeyBytes = 1024;
const utf8 = new TextDecoder("utf-8", { fatal: true });
/** Windows gives these characters another meaning than a part of a name, or drops them. */
const unsafeOnWindows = /[\\:*?"<>|]|[. ]$/;

/**
 * The files of a folder as objects, read-only: `<prefix><path with slashes>`. Nothing is copied or remembered, so
 * changes in the folder are visible at once. Left out are links that lead out of it, names that are not UTF-8 or have
 * control characters, and everything but plain files.
 */
export class Folder {
  readonly #options: FolderOptions;

  constructor(options: FolderOptions) {
    this.#options = options;
  }

  get prefix(): string {
    return this.#options.prefix;
  }

  /** The file of this very key: on systems that ignore upper and lower case another spelling is another key. */
  get(bucket: string, key: string): FolderObject | undefined {
    const { prefix } = this.#options;
    if (bucket !== this.#options.bucket || !key.startsWith(prefix)) return undefined;
    const root = this.#root();
    const names = key.slice(prefix.length).split("/");
    if (root === undefined || !names.every(isName)) return undefined;
    return attempt(() => {
      let at = root;
      for (const name of names) {
        at = join(at, name);
        if (!lstatSync(at).isSymbolicLink()) continue;
        at = realpathSync.native(at);
        if (!isInside(root, at)) return undefined;
      }
      return realpathSync.native(at) === at ? toObject(key, at) : undefined;
    });
  }

  /** Objects in the order of their keys' bytes from `from` on (inclusive), one file at a time. */
  *scan(bucket: string, from: Buffer): Generator<FolderObject> {
    const root = bucket === this.#options.bucket ? this.#root() : undefined;
    if (root !== undefined)
      yield* walk(root, { dir: root, prefix: this.#options.prefix, above: [root] }, from);
  }

  #root(): string | undefined {
    return attempt(() => realpathSync.native(this.#options.dir));
  }
}

/**
 * The bytes of an object's file, including `end`. Throws if the file has changed, so that no reader gets parts of two
 * versions.
 */
export async function* read(object: FolderObject, start: number, end: number): AsyncGenerator<Buffer> {
  const handle = await open(object.file, "r");
  try {
    if (etagOf(await handle.stat({ bigint: true })) !== object.etag) throw new Error("the file has changed");
    let left = end - start + 1;
    if (left <= 0) return;
    const stream = handle.createReadStream({ start, end, highWaterMark: chunkBytes, autoClose: false });
    for await (const piece of stream as AsyncIterable<Buffer>) {
      left -= piece.length;
      yield piece;
    }
    if (left !== 0) throw new Error("the file has become shorter");
  } finally {
    await handle.close();
  }
}

/** Depth first; a folder is in order as its name and a slash, as its keys are. */
function* walk(
  root: string,
  { dir, prefix, above }: { dir: string; prefix: string; above: readonly string[] },
  from: Buffer,
): Generator<FolderObject> {
  for (const { name, path, isFolder } of entries(root, dir)) {
    const key = `${prefix}${name}`;
    const bytes = Buffer.from(isFolder ? `${key}/` : key);
    if (bytes.length > maxKeyBytes) continue;
    if (isFolder) {
      // Every key in the folder begins with this, so a later position is after all of them.
      const isBehind = Buffer.compare(bytes, from.subarray(0, bytes.length)) < 0;
      // A link to a folder above would never end.
      if (!isBehind && !above.includes(path))
        yield* walk(root, { dir: path, prefix: `${key}/`, above: [...above, path] }, from);
    } else if (Buffer.compare(bytes, from) >= 0) {
      const object = attempt(() => toObject(key, path));
      if (object !== undefined) yield object;
    }
  }
}

interface Entry {
  name: string;
  path: string;
  isFolder: boolean;
}

function entries(root: string, dir: string): Entry[] {
  const found = attempt(() => readdirSync(dir, { withFileTypes: true, encoding: "buffer" })) ?? [];
  return found
    .flatMap((entry) => attempt(() => toEntry(root, dir, entry)) ?? [])
    .map((entry) => ({ entry, order: Buffer.from(entry.isFolder ? `${entry.name}/` : entry.name) }))
    .sort((one, other) => Buffer.compare(one.order, other.order))
    .map(({ entry }) => entry);
}

function toEntry(root: string, dir: string, entry: Dirent<Buffer>): Entry | undefined {
  const name = utf8.decode(entry.name);
  if (!isName(name)) return undefined;
  const path = join(dir, name);
  if (!entry.isSymbolicLink())
    return entry.isDirectory() || entry.isFile() ? { name, path, isFolder: entry.isDirectory() } : undefined;
  const target = realpathSync.native(path);
  if (!isInside(root, target)) return undefined;
  const stats = statSync(target);
  return stats.isDirectory() || stats.isFile()
    ? { name, path: target, isFolder: stats.isDirectory() }
    : undefined;
}

/**
 * Whether a text can be the name of a file, as keys have it: without parts that lead out of the folder or open a
 * device.
 */
function isName(name: string): boolean {
  if (name === "" || name === "." || name === ".." || /\p{Cc}/u.test(name)) return false;
  return process.platform !== "win32" || !unsafeOnWindows.test(name);
}

function isInside(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : `${root}${sep}`);
}

function toObject(key: string, file: string): FolderObject | undefined {
  const stats = statSync(file, { bigint: true });
  if (!stats.isFile()) return undefined;
  const type = types[/\.([A-Za-z0-9]{1,5})$/.exec(key)?.[1]?.toLowerCase() ?? ""];
  return {
    key,
    file,
    size: Number(stats.size),
    etag: etagOf(stats),
    modifiedMs: Number(stats.mtimeMs),
    headers: type === undefined ? {} : { "content-type": type },
    blobs: [],
  };
}

/**
 * Changes when the file is written again. It ends in a part count, so that it is not mistaken for an MD5 of the
 * content.
 */
function etagOf({ size, mtimeNs }: BigIntStats): string {
  return `${createHash("md5").update(`${size} ${mtimeNs}`).digest("hex")}-1`;
}

/** A file that disappears during the listing, or cannot be read, is left out. */
function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
