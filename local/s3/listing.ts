import { type Call, iso, replyXml } from "#local/s3/call";
import { noSuchBucket, type StoredObject } from "#local/s3/catalog";
import { S3Error } from "#local/s3/error";
import { encode, encodePath } from "#local/s3/signature";

const maxKeysLimit = 1000;

interface Page {
  readonly contents: StoredObject[];
  readonly prefixes: string[];
  /** Where the next page begins; undefined on the last page. */
  readonly nextFrom: Buffer | undefined;
}

/** Answers one page of keys, in the order of their UTF-8 bytes. */
export function listObjectsV2(call: Call): void {
  const { query, bucket, catalog } = call;
  if (!catalog.hasBucket(bucket)) throw noSuchBucket(bucket);
  const prefix = query.get("prefix") ?? "";
  const delimiter = query.get("delimiter") ?? "";
  const maxKeys = parseMaxKeys(query.get("max-keys"));
  const startAfter = query.get("start-after");
  const token = query.get("continuation-token");

  const first = Buffer.from(prefix);
  const begin = token !== undefined ? parseToken(token) : startAfter ? next(Buffer.from(startAfter)) : first;
  const from = Buffer.compare(begin, first) > 0 ? begin : first;
  const { contents, prefixes, nextFrom } = pageFrom(call, from, { prefix, delimiter, maxKeys });

  const url = query.get("encoding-type") === "url";
  const show = (text: string) => (url ? encodePath(text) : text);
  replyXml(call, "ListBucketResult", {
    Name: bucket,
    Prefix: show(prefix),
    Delimiter: delimiter === "" ? undefined : url ? encode(delimiter) : delimiter,
    MaxKeys: maxKeys,
    EncodingType: url ? "url" : undefined,
    KeyCount: contents.length + prefixes.length,
    IsTruncated: nextFrom !== undefined,
    ContinuationToken: token,
    NextContinuationToken: nextFrom?.toString("base64url"),
    StartAfter: startAfter === undefined ? undefined : show(startAfter),
    Contents: contents.map(({ key, modifiedMs, etag, size }) => ({
      Key: show(key),
      LastModified: iso(modifiedMs),
      ETag: `"${etag}"`,
      Size: size,
      StorageClass: "STANDARD",
    })),
    CommonPrefixes: prefixes.map((one) => ({ Prefix: show(one) })),
  });
}

/**
 * A prefix that the delimiter closes is reported once and then skipped in one step, however many keys it has. One key
 * more than wanted is read, which tells whether the list goes on.
 */
function pageFrom(
  { bucket, catalog }: Call,
  begin: Buffer,
  { prefix, delimiter, maxKeys }: { prefix: string; delimiter: string; maxKeys: number },
): Page {
  const contents: StoredObject[] = [];
  const prefixes: string[] = [];
  let from = begin;
  for (let done = false; !done; ) {
    const limit = delimiter === "" ? maxKeys - contents.length + 1 : 256;
    let seen = 0;
    done = true;
    for (const object of catalog.scan(bucket, from, limit, prefix)) {
      seen += 1;
      const { key } = object;
      if (contents.length + prefixes.length >= maxKeys)
        return { contents, prefixes, nextFrom: maxKeys > 0 ? from : undefined };
      const cut = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
      if (cut >= 0) {
        const common = key.slice(0, cut + delimiter.length);
        prefixes.push(common);
        from = afterPrefix(Buffer.from(common));
        done = false;
        break;
      }
      contents.push(object);
      from = next(Buffer.from(key));
      done = seen < limit;
    }
  }
  return { contents, prefixes, nextFrom: undefined };
}

/** The smallest byte string above this one. */
function next(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.from([0])]);
}

/** The smallest byte string above everything with this prefix; UTF-8 has no byte 0xff, so one can be added. */
function afterPrefix(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return end;
}

function parseMaxKeys(text: string | undefined): number {
  if (text === undefined) return maxKeysLimit;
  if (!/^\d{1,10}$/.test(text)) throw new S3Error("InvalidArgument", "max-keys must be a number from 0 on");
  return Math.min(Number(text), maxKeysLimit);
}

/** A token is the byte string at which the next page begins. */
function parseToken(token: string): Buffer {
  if (!/^[A-Za-z0-9_-]+$/.test(token))
    throw new S3Error("InvalidArgument", "The continuation token provided is incorrect");
  return Buffer.from(token, "base64url");
}
