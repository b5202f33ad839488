import { and, eq, isNull, type SQL, type SQLWrapper, sql } from "drizzle-orm";
import * as z from "zod";
import * as Bucket from "#core/bucket/bucket";
import * as Proof from "#core/bucket/proof";
import * as Database from "#core/db/database";
import { AppError, invalidRequest } from "#core/error";
import * as Id from "#core/id";
import * as Idempotency from "#core/idempotency/idempotency";
import * as Type from "#core/image/type";
import type { Log } from "#core/log";
import { hashOf } from "#core/payload-hash";
import * as Storage from "#core/usage/storage";
import { type KeyLimits, noLimits } from "#spec/key-limits";
import { batches, groundTruths, type Times } from "#spec/limits";
import * as DataRoot from "./data-root.ts";
import * as MostBytes from "./most-bytes.ts";
import { curlLine, presign } from "./presign.ts";
import * as TooLarge from "./too-large.ts";
import { uploadTable } from "./upload.sql.ts";

/*
 * create(…)     announces an object: a signed PUT, directly to the bucket and only once
 * read(…)       its bytes, the same ones at every read, for the key that announced it
 * announced(…)  the rows of many refs
 * pin(…)        stores the versions of many that were read first
 * core/input removes them: after a week, at the end of the run that read them, or by their owner.
 */

const kinds = ["image", "manifest", "data", "ground_truth"] as const;
type Kind = (typeof kinds)[number];

/** The most bytes that may be announced, by what is said of them. The bytes decide about the type when they are read. */
function maxBytesOf({ kind, mimeType, name }: { kind: Kind; mimeType: string; name: string | undefined }) {
  if (kind === "manifest") return batches.manifestBytes;
  return kind === "ground_truth" ? groundTruths.bytes : MostBytes.announced({ mimeType, name });
}

/** The body of `POST /v1/uploads`. */
export const UploadRequest = z
  .strictObject({
    file: z.string().min(1).max(255).optional().meta({
      description:
        "Your name for it, or its path: kept, never interpreted, and what `curl` of the answer sends.",
    }),
    mime_type: z.string().min(1).max(100).optional().meta({
      description:
        "A hint that is kept, as in `POST /v1/extract`; the bytes decide. A PDF says `application/pdf`, or has a name that ends with `.pdf`, if it is over 20 MiB. The answer's `headers` say what may be sent as `Content-Type`, which is not signed.",
    }),
    bytes: z.int().min(1).meta({
      description:
        "The exact size; another one is refused by the bucket. At most 20 MiB, of a PDF 50 MiB, of a manifest 200 MiB, of a ground truth 100 MiB.",
    }),
    sha256: z
      .string()
      .regex(/^[0-9a-fA-F]{64}$/, "is a SHA-256 in 64 hex digits")
      .transform((hex) => hex.toLowerCase())
      .optional()
      .meta({
        pattern: "^[0-9a-fA-F]{64}$",
        description:
          "Of the bytes, in hex. Where the bucket compares checksums, `headers` then has `x-amz-checksum-sha256`, signed, and other bytes are refused with 400. A picture that the model server fetches by itself has it as `image_sha256`; other pictures have their own there in any case.",
      }),
    kind: z.enum(kinds).default("image").meta({
      description:
        "`image`: a picture for `image_ref`, kept for a week. `manifest`: JSON lines for `manifest_ref`, likewise. `data`: a picture under the data root, kept until it is removed, for `image_key` and `images_dir`. `ground_truth`: labels for `data_ref` of `POST /v1/ground_truths`, kept for a week.",
    }),
    path: z.string().min(1).max(1024).optional().meta({
      pattern: DataRoot.keyPattern,
      maxLength: DataRoot.maxBytes,
      description:
        "For `data`, and needed there: where it goes below your own `<key_id>/`, such as `receipts/1.png`; one that begins with `shared/` goes there, and needs the scope `admin:all_keys`.",
    }),
  })
  .superRefine(({ kind, path }, context) => {
    const issue = (message: string) => context.addIssue({ code: "custom", path: ["path"], message });
    if (kind !== "data" && path !== undefined) issue("is for kind data");
    else if (kind === "data" && path === undefined) issue("is needed for kind data");
    else if (path !== undefined) {
      const problem = DataRoot.shapeProblem(path);
      if (problem !== undefined) issue(problem);
    }
  })
  .meta({ id: "UploadRequest" });
export type UploadRequest = z.output<typeof UploadRequest>;

/** Its answer. */
export const Upload = z
  .object({
    image_ref: z.string().optional().meta({
      description:
        "For kind image: the value for `image_ref` of `POST /v1/extract` and of manifests; valid for the key that made it.",
    }),
    manifest_ref: z.string().optional().meta({
      description: "For kind manifest: the value for `manifest_ref` of `POST /v1/batch_extract`.",
    }),
    data_ref: z.string().optional().meta({
      description: "For kind ground_truth: the value for `data_ref` of `POST /v1/ground_truths`.",
    }),
    image_key: z
      .string()
      .optional()
      .meta({ description: "For kind data: the value for `image_key` of manifests." }),
    upload_url: z.string().meta({
      description: "Takes one PUT, once, until `expires_at`. It is a secret: anyone who has it may upload.",
    }),
    method: z.literal("PUT"),
    headers: z.record(z.string(), z.string()).meta({
      description:
        "To be sent with the bytes as the body. `Content-Length`, `If-None-Match` and a `x-amz-checksum-sha256` are signed: exactly so, or the bucket answers 403. `Content-Type` is not: another one, or none, does no harm.",
    }),
    curl: z.string().meta({
      description:
        "The PUT as a line for bash, zsh or PowerShell, with the path in `file`; without one `FILE` stands for it. Prints the bucket's status: 200. As secret as `upload_url`.",
    }),
    expires_at: z.iso.datetime(),
    max_bytes: z
      .int()
      .meta({ description: "The largest `bytes` that can be announced for this kind and type." }),
  })
  .meta({ id: "Upload" });
export type Upload = z.output<typeof Upload>;

export interface Stores {
  db: Database.Db;
  bucket: Bucket.Bucket;
}
export type Row = typeof uploadTable.$inferSelect;

const refBytes = 18;

/**
 * Announces a picture or a manifest, and returns where to put it. The signature covers the exact length and
 * `If-None-Match: *`, so the URL accepts only this size, and only once. Nothing is written to the bucket. With an
 * `idempotencyKey` the same payload returns the same `image_ref` for 24 hours, and the same URL while at least half
 * of its time is left. `data` has no row: its key is its name.
 * @throws AppError `forbidden` for `shared/` without `admin:all_keys`, and above the key's storage limits
 *   (`details.limit`); `image_too_large`, `payload_too_large` (`details.limit_bytes`, `bytes`), `conflict` if the Idempotency-Key was
 *   used with another payload, `storage_unavailable`.
 */
export async function create(
  stores: Stores & { times: Pick<Times, "idempotencyMs" | "uploadKeepMs"> },
  input: UploadRequest,
  caller: { keyId: string; limits?: KeyLimits; allKeys?: boolean; idempotencyKey: string | undefined },
): Promise<{ upload: Upload; replayed: boolean }> {
  const mimeType = Type.mediaTypeOf(input.mime_type);
  const user = { keyId: caller.keyId, limits: caller.limits ?? noLimits };
  const maxBytes = maxBytesOf({ kind: input.kind, mimeType, name: input.path ?? input.file });
  if (input.bytes > maxBytes) throw TooLarge.upload(input.bytes, input.kind, maxBytes);
  const sha256 = await comparedSha256(stores.db, input);
  if (input.path !== undefined) {
    const { bytes, path, file } = input;
    const upload = await signedData(stores.bucket, caller, { bytes, path, mimeType, file, sha256 });
    // `shared/` counts for no key.
    if (!path.startsWith("shared/")) await Storage.announce(stores.db, user, { bytes, objects: 1 });
    return { upload, replayed: false };
  }
  const proposed = `upload_${Id.secret(refBytes)}`;
  const payload = [
    "upload",
    input.kind,
    mimeType,
    input.bytes,
    input.file ?? null,
    ...[input.sha256 ?? []].flat(),
  ];
  const ref =
    caller.idempotencyKey === undefined
      ? proposed
      : await Idempotency.resolve(stores.db, {
          keyId: caller.keyId,
          idempotencyKey: caller.idempotencyKey,
          proposedId: proposed,
          payloadHash: hashOf(payload),
          ttlMs: stores.times.idempotencyMs,
        });
  const createdAt = new Date();
  const more = { bytes: input.bytes, objects: 1 };
  const isNew = sql`NOT EXISTS (SELECT 1 FROM ${uploadTable} WHERE ref = ${ref})`;
  const allowed = Storage.allows(user, more);
  const results = await Database.batch(stores.db, [
    // Counted before the row is inserted, under the same condition, so that a repeat adds nothing.
    Storage.add(caller.keyId, more, allowed === undefined ? isNew : sql`${isNew} AND ${allowed}`),
    Database.statement(sql`INSERT INTO ${uploadTable}
        (ref, key_id, kind, object_key, mime_type, bytes, file, created_at, keep_until)
      SELECT ${ref}, ${caller.keyId}, ${input.kind}, ${objectKeyOf(caller.keyId, ref)}, ${mimeType}, ${input.bytes},
        ${input.file ?? null}, ${createdAt.getTime()}, ${createdAt.getTime() + stores.times.uploadKeepMs}
      WHERE changes() = 1`),
    stores.db.query.select().from(uploadTable).where(eq(uploadTable.ref, ref)),
  ]);
  const row = Database.rows(uploadTable, results[2])[0];
  if (row === undefined) throw await Storage.refusal(stores.db, user, more);
  return { upload: await signed(stores.bucket, row, sha256), replayed: ref !== proposed };
}

/**
 * The key's id comes after the reserved id `uploads`, because a lifecycle rule of the bucket knows only a fixed
 * prefix.
 */
export const prefixOf = (keyId: string) => `inputs/uploads/${keyId}/`;
const objectKeyOf = (keyId: string, ref: string) => `${prefixOf(keyId)}${ref.slice("upload_".length)}`;

/** The ref of the upload with this object key. */
export const refOf = (objectKey: string) => `upload_${objectKey.slice(objectKey.lastIndexOf("/") + 1)}`;

/** The same in SQL, for the objects of one key. */
export const refIn = (objectKey: SQLWrapper, keyId: string): SQL =>
  sql`'upload_' || substr(${objectKey}, ${prefixOf(keyId).length + 1})`;

/** A condition: the key's upload with this ref still exists. */
export const isThere = (ref: string, keyId: string): SQL =>
  sql`EXISTS (SELECT 1 FROM ${uploadTable} WHERE ref = ${ref} AND key_id = ${keyId})`;

/** The declared hash, where the bucket compares it: another one may refuse a PUT with a checksum, or ignore it. */
const comparedSha256 = async (db: Database.Db, { sha256 }: UploadRequest): Promise<string | undefined> =>
  sha256 !== undefined && (await Proof.last(db))?.checksum === true ? sha256 : undefined;

/** The answer about a row. The URL is signed at its start, or at the latest half-life since. */
async function signed(bucket: Bucket.Bucket, row: Row, sha256: string | undefined): Promise<Upload> {
  const halfMs = Math.ceil(bucket.settings.presignTtlS / 2) * 1000;
  const halves = Math.floor((Date.now() - row.createdAt.getTime()) / halfMs);
  const signedAt = new Date(row.createdAt.getTime() + Math.max(0, halves) * halfMs);
  const { url, headers, expiresAt } = await presign(bucket, row.objectKey, { ...row, sha256 }, signedAt);
  return {
    ...refBy(row),
    upload_url: url,
    method: "PUT",
    headers,
    curl: curlLine({ url, headers }, row.file ?? undefined),
    expires_at: expiresAt.toISOString(),
    max_bytes: maxBytesOf({ ...row, name: row.file ?? undefined }),
  };
}

/** The field in which each kind is used. */
function refBy({ kind, ref }: Row): Pick<Upload, "image_ref" | "manifest_ref" | "data_ref"> {
  if (kind === "manifest") return { manifest_ref: ref };
  return kind === "ground_truth" ? { data_ref: ref } : { image_ref: ref };
}

/** A key under the data root: in the caller's own folder, or with `admin:all_keys` in the shared one. */
async function signedData(
  bucket: Bucket.Bucket,
  caller: { keyId: string; allKeys?: boolean },
  object: {
    bytes: number;
    path: string;
    mimeType: string;
    file: string | undefined;
    sha256: string | undefined;
  },
): Promise<Upload> {
  const shared = object.path.startsWith("shared/");
  if (shared && !caller.allKeys)
    throw new AppError("forbidden", "only a key with admin:all_keys may upload into shared/", {
      details: { reason: "shared_is_for_admins" },
    });
  const imageKey = shared ? object.path : `${caller.keyId}/${object.path}`;
  // The owner's name may have made it too long.
  const problem = DataRoot.shapeProblem(imageKey);
  if (problem !== undefined) throw invalidRequest([{ path: "path", message: problem }]);
  const rel = `${DataRoot.dataRoot}${imageKey}`;
  const { url, headers, expiresAt } = await presign(bucket, rel, object, new Date());
  return {
    image_key: imageKey,
    upload_url: url,
    method: "PUT",
    headers,
    curl: curlLine({ url, headers }, object.file),
    expires_at: expiresAt.toISOString(),
    max_bytes: MostBytes.announced({ mimeType: object.mimeType, name: object.path }),
  };
}

/** An upload's bytes, its object and its version. */
interface Read {
  bytes: Uint8Array;
  declaredMimeType: string;
  objectKey: string;
  etag: string;
}

/**
 * Reads an upload. The first read stores the object's ETag and every later one demands it, so that a later write
 * cannot change what was already checked.
 * @throws AppError `not_found` for a ref that this key does not have, even if another key has it; `invalid_request`
 *   with `details.reason` `upload_missing` if it is not filled yet; `conflict` with `upload_replaced` if the object
 *   is another version; `image_too_large`; `storage_unavailable`.
 */
export async function read(stores: Stores, log: Log, from: { ref: string; keyId: string }): Promise<Read> {
  const row = Id.uploadRefPattern.test(from.ref) ? await find(stores.db, from) : undefined;
  if (row === undefined || row.kind !== "image") throw unknown();
  const object = await Bucket.read(stores.bucket, log, row.objectKey, row.etag ?? undefined);
  if (object === undefined) throw row.etag === null ? missing() : replaced();
  const bytes = await MostBytes.collect(object.body);
  if (row.etag === null && (await keepEtag(stores.db, row, object.etag)) !== object.etag) throw replaced();
  return { bytes, declaredMimeType: row.mimeType, objectKey: row.objectKey, etag: object.etag };
}

async function find(
  db: Database.Db,
  { ref, keyId }: { ref: string; keyId: string },
): Promise<Row | undefined> {
  const mine = and(eq(uploadTable.ref, ref), eq(uploadTable.keyId, keyId));
  return (await Database.read(db.query.select().from(uploadTable).where(mine)))[0];
}

/** Of two parallel first reads one stores its ETag. @returns the ETag that counts. */
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

/** The key's uploads among these refs, by ref. @throws AppError `storage_unavailable`. */
export async function announced(
  db: Database.Db,
  keyId: string,
  refs: readonly string[],
): Promise<Map<string, Row>> {
  const wanted = [...new Set(refs)].filter((ref) => Id.uploadRefPattern.test(ref));
  if (wanted.length === 0) return new Map();
  const mine = and(
    sql`${uploadTable.ref} IN (SELECT value FROM json_each(${JSON.stringify(wanted)}))`,
    eq(uploadTable.keyId, keyId),
  );
  const rows = await Database.read(db.query.select().from(uploadTable).where(mine));
  return new Map(rows.map((row) => [row.ref, row]));
}

/**
 * Stores the versions of uploads that were not read before. Of two parallel first reads one stores its ETag.
 * @returns the ETag that counts, by ref.
 * @throws AppError `storage_unavailable`.
 */
export async function pin(
  db: Database.Db,
  seen: readonly { ref: string; etag: string }[],
): Promise<Map<string, string>> {
  if (seen.length === 0) return new Map();
  const list = JSON.stringify(seen.map(({ ref, etag }) => [ref, etag]));
  const refs = sql`SELECT json_extract(value, '$[0]') FROM json_each(${list})`;
  const results = await Database.batch(db, [
    Database.statement(sql`UPDATE ${uploadTable} SET etag = seen.etag
      FROM (SELECT json_extract(value, '$[0]') AS ref, json_extract(value, '$[1]') AS etag
        FROM json_each(${list})) AS seen
      WHERE ${uploadTable.ref} = seen.ref AND ${uploadTable.etag} IS NULL`),
    Database.statement(sql`SELECT ref, etag FROM ${uploadTable} WHERE ref IN (${refs})`),
  ]);
  return new Map((results[1]?.rows ?? []).map(({ ref, etag }) => [String(ref), String(etag)]));
}

const unknown = () =>
  new AppError("not_found", "there is no upload with this image_ref", { param: "image_ref" });

function missing(): AppError {
  const message = "nothing has been uploaded there yet: PUT the bytes to its upload_url first";
  return invalidRequest([{ path: "image_ref", message }], { details: { reason: "upload_missing" } });
}

/** The object was removed or replaced. */
function replaced(): AppError {
  return new AppError("conflict", "the uploaded file was removed or replaced since it was first read", {
    details: { reason: "upload_replaced" },
  });
}
