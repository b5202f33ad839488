import * as Bucket from "#core/bucket/bucket";
import type * as Config from "#core/config";
import * as Document from "#core/document/document";
import { from } from "#core/error";
import * as ByHeader from "#core/image/by-header";
import type { Log } from "#core/log";
import type { Performed } from "#core/reading/reading";
import type { Work } from "#core/reading/work";
import type { ItemRow, RunRow } from "#core/run/run.sql";
import type { RunServices } from "#core/run/services";
import { read } from "#core/split/read";
import * as ByUrl from "#core/vision/by-url";
import { isCopied } from "./copied.ts";

/* A picture that the model server fetches from the bucket by itself: only its header is read here. */

/** The beginning of an object, and which version it is of. */
export interface Head {
  bytes: Uint8Array;
  total: number;
  etag: string;
}

/** A signed URL lives this much longer than the call it is for. */
const graceMs = 60_000;
/** The longest that a URL can be signed for: a week. */
const mostS = 604_800;

/** True if pictures may go to this server by URL. */
export const isOn = (model: Config.Model): boolean => model.imageUrls === true && !ByUrl.isOff(model);

/**
 * True for an item whose picture may go by URL: it lies in the bucket, the run keeps no copy of it, and nobody wants it
 * looked at, as `look: true` and `split: auto` do.
 */
export const isWanted = (model: Config.Model, run: RunRow, row: ItemRow): boolean =>
  isOn(model) &&
  row.objectKey !== null &&
  !isCopied(run, row) &&
  run.look !== true &&
  (row.split ?? run.split) !== "auto";

/** The first bytes of a picture; undefined if it is gone or was replaced. @throws AppError `storage_unavailable`. */
export const head = (
  bucket: Bucket.Bucket,
  log: Log,
  { objectKey, etag }: { objectKey: string; etag: string | null },
): Promise<Head | undefined> =>
  Bucket.range(bucket, log, objectKey, { from: 0, bytes: ByHeader.headBytes, etag: etag ?? undefined });

/**
 * The picture of an item as a document whose bytes stay in the bucket.
 * @param how.begun - its head, if it is being read.
 * @param how.deadline - epoch milliseconds at which the model call is cut off.
 * @param how.read - reads and opens the whole picture.
 * @returns undefined for one that has to be read whole, also if it is gone: the reader says so.
 * @throws AppError `storage_unavailable`.
 */
export async function open(
  bucket: Bucket.Bucket,
  log: Log,
  { objectKey, etag }: Pick<ItemRow, "objectKey" | "etag">,
  how: { begun: Promise<Head | undefined> | undefined; deadline: number; read(): Promise<Document.Document> },
): Promise<Document.Document | undefined> {
  if (objectKey === null) return undefined;
  const first = await (how.begun ?? head(bucket, log, { objectKey, etag }));
  if (first === undefined) return undefined;
  const { bytes, total } = first;
  let judged = ByHeader.judge({ head: bytes, total });
  if (judged !== undefined && "from" in judged) {
    const { from } = judged;
    const more = await Bucket.range(bucket, log, objectKey, { ...judged, etag: first.etag });
    judged = more && ByHeader.judge({ head: bytes, total, more: { from, bytes: more.bytes } });
  }
  if (judged === undefined || "from" in judged) return undefined;
  let whole: Promise<Document.Document> | undefined;
  return Document.linked(
    { ...judged, size: total },
    {
      etag: first.etag,
      sign: () =>
        Bucket.link(
          bucket,
          objectKey,
          Math.min(mostS, Math.ceil((how.deadline - Date.now() + graceMs) / 1000)),
        ),
      read: () => {
        whole ??= how.read();
        return whole;
      },
      get isRead() {
        return whole !== undefined;
      },
    },
  );
}

/** What came of an item, and of which document. */
interface Asked {
  performed: Performed;
  document: Document.Document;
}

/**
 * The answer about the picture that was judged: if the object changed while the model server fetched it, the model is asked
 * again, with the bytes of the version that the item names.
 * @throws AppError `storage_unavailable`.
 */
export async function withSameVersion(
  services: Pick<RunServices, "bucket" | "model">,
  row: Pick<ItemRow, "objectKey">,
  work: Work,
  performed: Performed,
): Promise<Asked> {
  const { log } = work;
  const { link } = work.document;
  if (performed.error?.code === "storage_unavailable") throw performed.error;
  if (link === undefined) return { performed, document: work.document };
  if (link.isRead) return await asRead(link, { performed, document: work.document });
  if (performed.error !== undefined) return { performed, document: work.document };
  const now = await Bucket.head(services.bucket, log, row.objectKey ?? "", { sha256: true });
  if (now?.etag === link.etag) return withSha256({ performed, document: work.document }, now.sha256);
  log.warn("picture_changed_meanwhile", { gone: now === undefined });
  try {
    const document = await link.read();
    return {
      document,
      performed: both(performed, await read(services.model, { ...work, document, steps: undefined })),
    };
  } catch (thrown) {
    const error = from(thrown);
    if (error.code === "storage_unavailable") throw error;
    return {
      document: work.document,
      performed: { ...performed, error, answer: { ...performed.answer, ...unknown } },
    };
  }
}

/** The hash that the uploader declared, and that the bucket compared with the bytes; null if there is none. */
function withSha256({ performed, document }: Asked, sha256: string | null): Asked {
  const { sent } = performed.record;
  const record = { ...performed.record, sent: sent && { ...sent, sha256 } };
  const answer = { ...performed.answer, image_sha256: sha256 };
  return { performed: { ...performed, answer, record }, document: { ...document, sha256 } };
}

/** Nothing is known of a picture that is gone. */
const unknown = {
  result: null,
  schema_ok: null,
  schema_errors: [],
  normalized: {},
  checks: [],
  warnings: [],
};

/** The model server did not take the URL, and the picture was read. */
async function asRead(link: Document.Link, asked: Asked): Promise<Asked> {
  // If it could not be read, the error of the answer says so.
  const document = await link.read().catch(() => undefined);
  if (document === undefined) return asked;
  const answer = { ...asked.performed.answer, image_sha256: document.sha256 };
  return { document, performed: { ...asked.performed, answer } };
}

/** The second outcome, with the calls of both. */
function both(first: Performed, second: Performed): Performed {
  const sum = (of: (each: Performed) => number) => of(first) + of(second);
  const attempts = [...first.record.attempts, ...second.record.attempts];
  return {
    ...second,
    answer: {
      ...second.answer,
      usage: {
        prompt_tokens: sum(({ answer }) => answer.usage.prompt_tokens),
        completion_tokens: sum(({ answer }) => answer.usage.completion_tokens),
        attempts: attempts.length,
      },
    },
    timingsMs: {
      image: sum(({ timingsMs }) => timingsMs.image),
      inference: sum(({ timingsMs }) => timingsMs.inference),
      validate: sum(({ timingsMs }) => timingsMs.validate),
    },
    record: { ...second.record, attempts },
  };
}
