import { createHash } from "node:crypto";
import { and, eq, isNull, lt } from "drizzle-orm";
import * as z from "zod";
import * as Bucket from "#core/artifact/bucket";
import * as Database from "#core/db/client";
import { AppError } from "#core/error";
import * as Claims from "#core/extraction/claim";
import * as Id from "#core/id";
import type { MimeType } from "#core/image/image";
import type { Log } from "#core/log";
import { sizes, type Times } from "#infra/limits";
import { presign } from "./presign.ts";
import { uploadTable } from "./upload.sql.ts";

/*
 * create(…)  announces an object: a signed PUT, straight to the bucket and once only
 * read(…)    its bytes, the same ones at every read, for the key that announced it
 * sweep(…)   removes what is older than a week
 */

const mimeTypes = [
  "image/jpeg",
  "image/png",
  "image/webp",
  "image/tiff",
  "image/gif",
] as const satisfies MimeType[];

/** What `POST /v1/uploads` takes. */
export const UploadRequest = z
  .strictObject({
    file: z
      .string()
      .min(1)
      .max(255)
      .optional()
      .meta({ description: "Your name for it; kept, never interpreted." }),
    mime_type: z
      .string()
      .min(1)
      .max(100)
      .meta({
        description: `The type that will be sent as \`Content-Type\`: ${mimeTypes.join(", ")}.`,
      }),
    bytes: z
      .int()
      .min(1)
      .meta({ description: "The exact size; another one is refused by the bucket. At most 20 MiB." }),
    kind: z.enum(["image"]).default("image"),
  })
  .meta({ id: "UploadRequest" });
export type UploadRequest = z.output<typeof UploadRequest>;

/** Its answer. */
export const Upload = z
  .object({
    image_ref: z
      .string()
      .meta({ description: "For `image_ref` of `POST /v1/extract`; valid for the key that made it." }),
    upload_url: z.string().meta({
      description: "Takes one PUT, once, until `expires_at`. It is a secret: who has it may upload.",
    }),
    method: z.literal("PUT"),
    headers: z
      .record(z.string(), z.string())
      .meta({ description: "Signed: to be sent exactly so, with the bytes as the body." }),
    expires_at: z.iso.datetime(),
    max_bytes: z.int().meta({ description: "The largest `bytes` that can be announced for this kind." }),
  })
  .meta({ id: "Upload" });
export type Upload = z.output<typeof Upload>;

export interface Stores {
  db: Database.Db;
  bucket: Bucket.Bucket;
}
type Row = typeof uploadTable.$inferSelect;

const refPattern = /^upload_[A-Za-z0-9_-]{24}$/;
const refBytes = 18;

/**
 * Announces a picture and answers where to put it. The signature covers type, exact length and
 * `If-None-Match: *`: nothing else fits through it, and only once. Nothing is reserved or written in the bucket.
 * With an `idempotencyKey`, the same payload gives the same `image_ref` for 24 hours, and the same URL while it is
 * fresh (a repeat never gets one with less than half of its time left).
 * @throws AppError `unsupported_media_type`, `payload_too_large` (`details.limit_bytes`, `bytes`), `conflict` when
 *   the Idempotency-Key was used with another payload, `storage_unavailable`.
 */
export async function create(
  stores: Stores & { times: Pick<Times, "idempotencyMs" | "uploadKeepMs"> },
  input: UploadRequest,
  caller: { keyId: string; idempotencyKey: string | undefined },
): Promise<{ upload: Upload; replayed: boolean }> {
  const mimeType = input.mime_type.toLowerCase();
  if (!mimeTypes.some((known) => known === mimeType)) {
    throw new AppError("unsupported_media_type", "pictures of this type are not supported", {
      details: { supported: mimeTypes },
    });
  }
  if (input.bytes > sizes.uploadImageBytes) {
    throw new AppError("payload_too_large", "the picture is too large to be uploaded", {
      details: { limit_bytes: sizes.uploadImageBytes, bytes: input.bytes },
    });
  }
  const proposed = `upload_${Id.secret(refBytes)}`;
  const payload = ["upload", input.kind, mimeType, input.bytes, input.file ?? null];
  const ref =
    caller.idempotencyKey === undefined
      ? proposed
      : await Claims.resolveIdempotency(stores.db, {
          keyId: caller.keyId,
          idempotencyKey: caller.idempotencyKey,
          proposedId: proposed,
          payloadHash: createHash("sha256").update(JSON.stringify(payload)).digest("hex"),
          ttlMs: stores.times.idempotencyMs,
        });
  const createdAt = new Date();
  const results = await Database.batch(stores.db, [
    stores.db.query
      .insert(uploadTable)
      .values({
        ref,
        keyId: caller.keyId,
        kind: input.kind,
        objectKey: objectKeyOf(caller.keyId, ref),
        mimeType,
        bytes: input.bytes,
        file: input.file ?? null,
        createdAt,
        keepUntil: new Date(createdAt.getTime() + stores.times.uploadKeepMs),
      })
      .onConflictDoNothing(),
    stores.db.query.select().from(uploadTable).where(eq(uploadTable.ref, ref)),
  ]);
  const row = Database.rows(uploadTable, results[1])[0];
  if (row === undefined) throw new AppError("internal", "the upload's row is gone");
  return { upload: await signed(stores.bucket, row), replayed: ref !== proposed };
}

/** The key's id comes after `uploads`, a reserved id, because a lifecycle rule of the bucket knows only a fixed prefix. */
const objectKeyOf = (keyId: string, ref: string) => `inputs/uploads/${keyId}/${ref.slice("upload_".length)}`;

/** The answer of a row: the URL of its first half-life, or of the one that has begun since. */
async function signed(bucket: Bucket.Bucket, row: Row): Promise<Upload> {
  const halfMs = Math.ceil(bucket.settings.presignTtlS / 2) * 1000;
  const halves = Math.floor((Date.now() - row.createdAt.getTime()) / halfMs);
  const signedAt = new Date(row.createdAt.getTime() + Math.max(0, halves) * halfMs);
  const { url, headers, expiresAt } = await presign(bucket, row.objectKey, row, signedAt);
  return {
    image_ref: row.ref,
    upload_url: url,
    method: "PUT",
    headers,
    expires_at: expiresAt.toISOString(),
    max_bytes: sizes.uploadImageBytes,
  };
}

/** An upload's bytes, and which version of which object they are. */
export interface Read {
  bytes: Uint8Array;
  declaredMimeType: string;
  objectKey: string;
  etag: string;
}

/**
 * Reads an upload. The first read keeps the object's ETag and every later one demands it, so that whoever may
 * write into the bucket cannot change what was judged already.
 * @throws AppError `not_found` for a ref that this key does not have, whoever else may have it; `invalid_request`
 *   with `details.reason` `upload_missing` when nothing was put there yet; `conflict` with `upload_replaced` when it
 *   is not the object that was read first; `payload_too_large`; `storage_unavailable`.
 */
export async function read(stores: Stores, log: Log, from: { ref: string; keyId: string }): Promise<Read> {
  const row = refPattern.test(from.ref) ? await find(stores.db, from) : undefined;
  if (row === undefined) throw unknown();
  const object = await Bucket.read(stores.bucket, log, row.objectKey, row.etag ?? undefined);
  if (object === undefined) throw row.etag === null ? missing() : replaced();
  const bytes = await Bucket.collect(object.body, sizes.uploadImageBytes);
  if (row.etag === null && (await keepEtag(stores.db, row, object.etag)) !== object.etag) throw replaced();
  return { bytes, declaredMimeType: row.mimeType, objectKey: row.objectKey, etag: object.etag };
}

async function find(
  db: Database.Db,
  { ref, keyId }: { ref: string; keyId: string },
): Promise<Row | undefined> {
  const mine = and(eq(uploadTable.ref, ref), eq(uploadTable.keyId, keyId));
  return (await Database.guard(() => db.query.select().from(uploadTable).where(mine)))[0];
}

/** Of two first readers one is first. @returns the ETag that counts. */
async function keepEtag(db: Database.Db, row: Row, etag: string): Promise<string | null | undefined> {
  const results = await Database.batch(db, [
    db.query
      .update(uploadTable)
      .set({ etag })
      .where(and(eq(uploadTable.ref, row.ref), isNull(uploadTable.etag))),
    db.query.select().from(uploadTable).where(eq(uploadTable.ref, row.ref)),
  ]);
  return Database.rows(uploadTable, results[1])[0]?.etag;
}

const unknown = () => new AppError("not_found", "there is no upload with this image_ref");

function missing(): AppError {
  const message = "nothing has been uploaded there yet";
  return new AppError("invalid_request", message, {
    details: { reason: "upload_missing", issues: [{ path: "image_ref", message }] },
  });
}

/** Removed, or another object in its place: either way it is not what was read before. */
function replaced(): AppError {
  return new AppError("conflict", "what was uploaded there was removed or replaced since it was first read", {
    details: { reason: "upload_replaced" },
  });
}

/**
 * Removes uploads whose week is over, objects first, so that what is left is found again. A bounded step.
 * @returns how many; `limit` when there may be more.
 * @throws AppError `storage_unavailable`.
 */
export async function sweep(stores: Stores, log: Log, limit = 200): Promise<number> {
  const old = lt(uploadTable.keepUntil, new Date());
  const rows = await Database.guard(() => stores.db.query.select().from(uploadTable).where(old).limit(limit));
  for (const row of rows) await Bucket.remove(stores.bucket, log, row.objectKey);
  if (rows.length === 0) return 0;
  await Database.batch(
    stores.db,
    rows.map(({ ref }) => stores.db.query.delete(uploadTable).where(and(eq(uploadTable.ref, ref), old))),
  );
  return rows.length;
}
