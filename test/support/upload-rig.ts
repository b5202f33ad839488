import { request } from "node:http";
import { expect } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import type { Db } from "#core/db/database";
import type { Log } from "#core/log";
import * as Upload from "#core/upload/upload";
import { uploadTable } from "#core/upload/upload.sql";
import * as Limits from "#spec/limits";
import { credentials, open as openStore, type Store, Bucket as storeBucket } from "./s3-store.ts";
import * as TestDatabase from "./test-database.ts";

/** What uploads need: a bucket and a database over their protocols, and a client that announces and fills. */
export interface Rig {
  store: Store;
  db: Db;
  bucket: Bucket.Bucket;
  stores: Upload.Stores & { times: Limits.Times };
  announce(
    bytes: number,
    more?: Partial<Upload.UploadRequest>,
    keyId?: string,
  ): Promise<Upload.Upload & { image_ref: string }>;
  /** An upload that holds this text. */
  filled(text: string, keyId?: string): Promise<Upload.Upload & { image_ref: string }>;
  read(ref: string, keyId?: string): ReturnType<typeof Upload.read>;
  /** The object's key in the bucket, by its row. */
  keyOf(ref: string): Promise<string>;
  close(): Promise<void>;
}

export const log: Log = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => log,
};
export const bytesOf = (text: string) => Buffer.from(text);
export const wish = (bytes: number, more: Partial<Upload.UploadRequest> = {}): Upload.UploadRequest => ({
  mime_type: "image/png",
  kind: "image",
  bytes,
  ...more,
});

export async function open(): Promise<Rig> {
  const [store, database] = await Promise.all([openStore(), TestDatabase.start()]);
  const { db } = database;
  const bucket = Bucket.open(
    {
      ...credentials,
      bucket: storeBucket,
      endpoint: store.server.url,
      region: "auto",
      prefix: "stage/one",
      // Uploads are write-once with this setting, too.
      allowOverwrite: true,
      presignTtlS: 900,
      forcePathStyle: true,
    },
    5_000,
  );
  const stores = { db, bucket, times: Limits.times() };
  const announce: Rig["announce"] = async (bytes, more = {}, keyId = "key-1") => {
    const { upload } = await Upload.create(stores, wish(bytes, more), { keyId, idempotencyKey: undefined });
    return { ...upload, image_ref: upload.image_ref ?? "" };
  };
  return {
    ...{ store, db, bucket, stores, announce },
    async filled(text, keyId = "key-1") {
      const upload = await announce(bytesOf(text).length, {}, keyId);
      expect(await put(upload.upload_url, upload.headers, bytesOf(text))).toBe(200);
      return upload;
    },
    read: (ref, keyId = "key-1") => Upload.read(stores, log, { ref, keyId }),
    async keyOf(ref) {
      const rows = await db.query.select().from(uploadTable);
      return rows.find((row) => row.ref === ref)?.objectKey ?? "";
    },
    async close() {
      bucket.client.destroy();
      await Promise.all([store.stop(), database.close()]);
    },
  };
}

/** Sends exactly these headers; fetch would add others. */
export function put(url: string, headers: Record<string, string>, body: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request(url, { method: "PUT", headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    call.on("error", reject);
    // The connection may be closed before the body is sent, because the status has been sent by then.
    call.end(body);
  });
}
