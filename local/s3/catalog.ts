import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Blob } from "#local/s3/blobs";
import { S3Error } from "#local/s3/error";

export interface StoredObject {
  key: string;
  size: number;
  /** Without quotes. */
  etag: string;
  modifiedMs: number;
  /** content-type, cache-control, …, x-amz-meta-*: what GET sends back. */
  headers: Record<string, string>;
  blobs: Blob[];
}

export interface Conditions {
  /** If-None-Match: * */
  mustNotExist?: boolean;
  /** If-Match: an ETag without quotes, or * */
  mustMatch?: string;
}

interface Upload {
  id: string;
  key: string;
  headers: Record<string, string>;
  createdMs: number;
}

export interface Part {
  number: number;
  etag: string;
  modifiedMs: number;
  blob: Blob;
}

const schema = `
  CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, created_ms INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, key BLOB NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
    modified_ms INTEGER NOT NULL, headers TEXT NOT NULL, blobs TEXT NOT NULL, PRIMARY KEY (bucket, key)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key BLOB NOT NULL, headers TEXT NOT NULL, created_ms INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE, number INTEGER NOT NULL, blob TEXT NOT NULL,
    size INTEGER NOT NULL, etag TEXT NOT NULL, modified_ms INTEGER NOT NULL, PRIMARY KEY (upload, number)
  ) WITHOUT ROWID;`;

/**
 * The catalog of buckets, objects and unfinished uploads, in SQLite. An object exists if its row does, so every
 * change is one atomic commit, and a killed process leaves the state before or after it. Keys are BLOBs of UTF-8,
 * because SQLite then orders them by bytes as S3 does.
 */
export class Catalog {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** Throws when another process has the folder open. */
  constructor(dir: string) {
    this.#db = new DatabaseSync(join(dir, "index.sqlite"));
    try {
      // EXCLUSIVE: one process owns the folder (its sweep would remove another process's uploads); a kill -9
      // frees the lock. FULL: an answered write survives a power cut too.
      this.#db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
      this.#db.exec(`BEGIN IMMEDIATE; ${schema} COMMIT;`);
    } catch (error) {
      this.#db.close();
      const busy = error instanceof Error && "errcode" in error && (Number(error.errcode) & 0xff) === 5;
      throw busy ? new Error(`The S3 folder is in use by another process: ${dir}`, { cause: error }) : error;
    }
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  /** True when the bucket is new. */
  createBucket(name: string): boolean {
    return this.#run("INSERT OR IGNORE INTO buckets VALUES (?, ?)", name, Date.now()) > 0;
  }

  buckets(): { name: string; createdMs: number }[] {
    return this.#all("SELECT name, created_ms FROM buckets ORDER BY name").map((row) => ({
      name: String(row.name),
      createdMs: Number(row.created_ms),
    }));
  }

  hasBucket(name: string): boolean {
    return this.#all("SELECT 1 FROM buckets WHERE name = ?", name).length > 0;
  }

  /** Throws S3Error BucketNotEmpty. */
  deleteBucket(name: string): void {
    this.#transaction(() => {
      if (this.#all("SELECT 1 FROM objects WHERE bucket = ? LIMIT 1", name).length > 0)
        throw new S3Error("BucketNotEmpty", "The bucket you tried to delete is not empty");
      this.#run("DELETE FROM buckets WHERE name = ?", name);
    });
  }

  get(bucket: string, key: string): StoredObject | undefined {
    const [row] = this.#all("SELECT * FROM objects WHERE bucket = ? AND key = ?", bucket, Buffer.from(key));
    return row === undefined ? undefined : toObject(row);
  }

  /** Objects in key order from `from` on (inclusive), at most `limit`, up to the first that does not begin with `prefix`. */
  *scan(bucket: string, from: Buffer, limit: number, prefix = ""): Generator<StoredObject> {
    const sql = "SELECT * FROM objects WHERE bucket = ? AND key >= ? ORDER BY key LIMIT ?";
    for (const row of this.#all(sql, bucket, from, limit)) {
      const object = toObject(row);
      if (!object.key.startsWith(prefix)) return;
      yield object;
    }
  }

  /**
   * Replaces an object and returns the blobs that are no longer needed. Check and write are one transaction: of
   * several writers with `mustNotExist` exactly one succeeds. Throws S3Error PreconditionFailed, NoSuchKey,
   * NoSuchBucket.
   */
  put(bucket: string, object: StoredObject, conditions: Conditions): Blob[] {
    return this.#transaction(() => this.#put(bucket, object, conditions));
  }

  /** Throws at once what `put` would throw for these conditions, so that the body need not be read. */
  check(bucket: string, key: string, { mustNotExist, mustMatch }: Conditions): void {
    if (!this.hasBucket(bucket)) throw noSuchBucket(bucket);
    if (mustNotExist !== true && mustMatch === undefined) return;
    const current = this.get(bucket, key);
    if (mustNotExist === true && current !== undefined) throw preconditionFailed("If-None-Match");
    if (mustMatch === undefined) return;
    if (current === undefined) throw noSuchKey(key);
    if (mustMatch !== "*" && mustMatch !== current.etag) throw preconditionFailed("If-Match");
  }

  /** Deletes an object, if there is one, and returns its blobs. Throws S3Error PreconditionFailed. */
  delete(bucket: string, key: string, mustMatch?: string): Blob[] {
    return this.#transaction(() => {
      const current = this.get(bucket, key);
      if (current === undefined) return [];
      if (mustMatch !== undefined && mustMatch !== "*" && mustMatch !== current.etag)
        throw preconditionFailed("If-Match");
      this.#run("DELETE FROM objects WHERE bucket = ? AND key = ?", bucket, Buffer.from(key));
      return current.blobs;
    });
  }

  createUpload(bucket: string, { id, key, headers, createdMs }: Upload): void {
    const values = [id, bucket, Buffer.from(key), JSON.stringify(headers), createdMs];
    this.#run("INSERT INTO uploads VALUES (?, ?, ?, ?, ?)", ...values);
  }

  /** Throws S3Error NoSuchUpload. */
  upload(bucket: string, key: string, id: string): Upload {
    const sql = "SELECT * FROM uploads WHERE id = ? AND bucket = ? AND key = ?";
    const [row] = this.#all(sql, id, bucket, Buffer.from(key));
    if (row === undefined) throw noSuchUpload(id);
    return { id, key, headers: JSON.parse(String(row.headers)), createdMs: Number(row.created_ms) };
  }

  parts(uploadId: string): Part[] {
    return this.#all("SELECT * FROM parts WHERE upload = ? ORDER BY number", uploadId).map((row) => ({
      number: Number(row.number),
      etag: String(row.etag),
      modifiedMs: Number(row.modified_ms),
      blob: { id: String(row.blob), size: Number(row.size) },
    }));
  }

  /** Adds or replaces a part and returns the blobs that are no longer needed. Throws S3Error NoSuchUpload. */
  putPart(bucket: string, key: string, uploadId: string, { number, etag, modifiedMs, blob }: Part): Blob[] {
    return this.#transaction(() => {
      this.upload(bucket, key, uploadId);
      const replaced = this.parts(uploadId).filter((part) => part.number === number);
      const values = [uploadId, number, blob.id, blob.size, etag, modifiedMs];
      this.#run("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?)", ...values);
      return replaced.map((part) => part.blob);
    });
  }

  /**
   * Completes an upload as `object`, whose blobs are parts of it. One transaction, so that only one of several
   * completions succeeds. Returns the blobs that are no longer needed. Throws S3Error as `put`, NoSuchUpload.
   */
  completeUpload(bucket: string, uploadId: string, object: StoredObject, conditions: Conditions): Blob[] {
    return this.#transaction(() => {
      const replaced = this.#put(bucket, object, conditions);
      const used = new Set(object.blobs.map(({ id }) => id));
      const present = this.#endUpload(bucket, object.key, uploadId);
      // A part that was sent again between reading and this commit is another blob now.
      if (!object.blobs.every((blob) => present.some(({ id }) => id === blob.id)))
        throw new S3Error("InvalidPart", "One or more of the specified parts could not be found.");
      return [...replaced, ...present.filter(({ id }) => !used.has(id))];
    });
  }

  /** Forgets an upload and returns its blobs. Throws S3Error NoSuchUpload. */
  abortUpload(bucket: string, key: string, uploadId: string): Blob[] {
    return this.#transaction(() => this.#endUpload(bucket, key, uploadId));
  }

  /** Forgets uploads begun before that time; R2 does so after seven days. */
  expireUploads(beforeMs: number): void {
    this.#run("DELETE FROM uploads WHERE created_ms < ?", beforeMs);
  }

  /** The ids of all blobs that an object or an upload needs. */
  blobIds(): Set<string> {
    const ids = new Set<string>();
    for (const row of this.#db.prepare("SELECT blobs FROM objects").iterate())
      for (const { id } of toBlobs(row.blobs)) ids.add(id);
    for (const row of this.#db.prepare("SELECT blob FROM parts").iterate()) ids.add(String(row.blob));
    return ids;
  }

  #put(bucket: string, object: StoredObject, conditions: Conditions): Blob[] {
    this.check(bucket, object.key, conditions);
    const replaced = this.get(bucket, object.key)?.blobs ?? [];
    this.#run(
      "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)",
      bucket,
      Buffer.from(object.key),
      object.size,
      object.etag,
      object.modifiedMs,
      JSON.stringify(object.headers),
      JSON.stringify(object.blobs.map(({ id, size }) => [id, size])),
    );
    return replaced;
  }

  #endUpload(bucket: string, key: string, uploadId: string): Blob[] {
    this.upload(bucket, key, uploadId);
    const blobs = this.parts(uploadId).map((part) => part.blob);
    this.#run("DELETE FROM uploads WHERE id = ?", uploadId);
    return blobs;
  }

  #transaction<Result>(work: () => Result): Result {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#db.exec("COMMIT");
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  #run(sql: string, ...values: (string | number | Buffer)[]): number {
    return Number(this.#prepare(sql).run(...values).changes);
  }

  #all(sql: string, ...values: (string | number | Buffer)[]) {
    return this.#prepare(sql).all(...values);
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

export function noSuchBucket(bucket: string): S3Error {
  return new S3Error("NoSuchBucket", "The specified bucket does not exist", {
    fields: { BucketName: bucket },
  });
}

export function noSuchKey(key: string): S3Error {
  return new S3Error("NoSuchKey", "The specified key does not exist.", { fields: { Key: key } });
}

function noSuchUpload(id: string): S3Error {
  return new S3Error(
    "NoSuchUpload",
    "The specified multipart upload does not exist. It may have been aborted or completed.",
    { fields: { UploadId: id } },
  );
}

export function preconditionFailed(condition: string): S3Error {
  return new S3Error("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", {
    fields: { Condition: condition },
  });
}

function toObject(row: Record<string, unknown>): StoredObject {
  return {
    key: Buffer.from(row.key as Uint8Array).toString("utf8"),
    size: Number(row.size),
    etag: String(row.etag),
    modifiedMs: Number(row.modified_ms),
    headers: JSON.parse(String(row.headers)),
    blobs: toBlobs(row.blobs),
  };
}

function toBlobs(json: unknown): Blob[] {
  return (JSON.parse(String(json)) as [string, number][]).map(([id, size]) => ({ id, size }));
}
