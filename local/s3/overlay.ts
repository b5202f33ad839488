import type { Blob, Blobs } from "#local/s3/blobs";
import { Catalog, type Conditions, type StoredObject } from "#local/s3/catalog";
import { S3Error } from "#local/s3/error";
import * as Folder from "#local/s3/folder";

/** A catalog that also shows a folder: its files are read-only objects. */
export class Overlay extends Catalog {
  readonly #folder: Folder.Folder;

  constructor(dir: string, folder: Folder.FolderOptions) {
    super(dir);
    this.#folder = new Folder.Folder(folder);
  }

  override get(bucket: string, key: string): StoredObject | undefined {
    return this.#folder.get(bucket, key) ?? super.get(bucket, key);
  }

  override *scan(bucket: string, from: Buffer, limit: number, prefix = ""): Generator<StoredObject> {
    const stored = super.scan(bucket, from, limit, prefix);
    // Lists of other prefixes do not read the folder.
    if (!prefix.startsWith(this.#folder.prefix) && !this.#folder.prefix.startsWith(prefix))
      return yield* stored;
    const files = this.#folder.scan(bucket, from);
    let object = pull(stored, prefix);
    let file = pull(files, prefix);
    for (let left = limit; left > 0; left -= 1) {
      const order = compare(object, file);
      // If an object has the same key, the file is returned, as by `get`.
      const next = order < 0 ? object : file;
      if (next === undefined) return;
      yield next;
      if (order <= 0) object = pull(stored, prefix);
      if (order >= 0) file = pull(files, prefix);
    }
  }

  override check(bucket: string, key: string, conditions: Conditions): void {
    this.#refuse(bucket, key);
    super.check(bucket, key, conditions);
  }

  override delete(bucket: string, key: string, mustMatch?: string): Blob[] {
    this.#refuse(bucket, key);
    return super.delete(bucket, key, mustMatch);
  }

  #refuse(bucket: string, key: string): void {
    if (this.#folder.get(bucket, key) !== undefined)
      throw new S3Error("AccessDenied", "This key is a file of the data folder, which is served read-only.");
  }
}

/** Bytes `start` to `end` (inclusive) of an object, wherever it is stored. */
export function read(blobs: Blobs, object: StoredObject, start: number, end: number): AsyncGenerator<Buffer> {
  return "file" in object
    ? Folder.read(object as Folder.FolderObject, start, end)
    : blobs.read(object.blobs, start, end);
}

function pull(objects: Generator<StoredObject>, prefix: string): StoredObject | undefined {
  const { done, value } = objects.next();
  return done || !value.key.startsWith(prefix) ? undefined : value;
}

/** By the keys' bytes; a missing key comes last. */
function compare(one: StoredObject | undefined, other: StoredObject | undefined): number {
  if (one === undefined || other === undefined) return one === undefined ? 1 : -1;
  return Buffer.compare(Buffer.from(one.key), Buffer.from(other.key));
}
