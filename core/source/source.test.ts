import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import type { AppError } from "#core/error";
import type { Log } from "#core/log";
import { credentials, open as openStore, type Store, Bucket as storeBucket } from "#test/support/s3-store";
import * as Source from "./source.ts";

const log: Log = { info: () => undefined, warn: () => undefined, error: () => undefined, child: () => log };

describe("image_base64", () => {
  const decoded = (text: string) => Buffer.from(Source.decode(text).bytes).toString();
  const codeOf = (text: string) => {
    try {
      return Buffer.from(Source.decode(text).bytes).toString("hex");
    } catch (thrown) {
      return (thrown as AppError).code;
    }
  };

  test("is plain base64 or a data URL, with the line breaks that tools make", () => {
    const text = Buffer.from("the bytes!").toString("base64");
    expect(decoded(text)).toBe("the bytes!");
    expect(decoded(text.replace(/=+$/, ""))).toBe("the bytes!");
    expect(decoded(text.replace(/(.{4})/g, "$1\r\n"))).toBe("the bytes!");
    expect(Source.decode(`data:image/png;base64,${text}`).declaredMimeType).toBe("image/png");
    expect(decoded(`data:image/png;charset=x;base64,${text}`)).toBe("the bytes!");
    expect(Source.decode(`DATA:;BASE64,${text}`).declaredMimeType).toBeUndefined();
  });

  test("that is not valid is refused; one that is too large is refused before it is decoded", () => {
    for (const text of [
      "a",
      "ab=c",
      "====",
      "häh",
      "data:image/png,text",
      "AAAA;AAAA",
      "AA-_",
      "https://pictures.example/",
    ]) {
      expect(codeOf(text), text).toBe("invalid_request");
    }
    // Any mixture of base64 letters, padding, blanks and other characters.
    const letters = [..."ABz9+/==-_!é中\n \0"];
    for (let n = 1; n < 20_000; n += 1) {
      const text = Array.from(
        { length: n % 13 },
        (_, i) => letters[(n * (i + 3) * 7 + (n >> i)) % (i % 3 ? 17 : 4)],
      ).join("");
      const base64 = text.replace(/[\r\n\t ]/g, "");
      const isRight = base64.length % 4 !== 1 && /^[A-Za-z0-9+/]*={0,2}$/.test(base64);
      const expected = isRight ? Buffer.from(base64, "base64").toString("hex") : "invalid_request";
      expect([text, codeOf(text)]).toEqual([text, expected]);
    }
    const limit = 4 * 1024 * 1024;
    expect(codeOf("A".repeat(Math.ceil((limit + 1) / 3) * 4))).toBe("payload_too_large");
    expect(Source.decode(Buffer.alloc(limit).toString("base64")).bytes.length).toBe(limit);
  });
});

describe("a queued picture", () => {
  let store: Store;
  let bucket: Bucket.Bucket;
  beforeAll(async () => {
    store = await openStore();
    const settings = {
      region: "auto",
      prefix: "",
      allowOverwrite: false,
      presignTtlS: 900,
      forcePathStyle: true,
    };
    bucket = Bucket.open(
      { ...credentials, ...settings, bucket: storeBucket, endpoint: store.server.url },
      5_000,
    );
  });
  afterAll(async () => {
    bucket?.client.destroy();
    await store?.stop();
  });

  test("is read again only in the version that was checked: replaced or removed, it is an error", async () => {
    const { ETag = "" } = await store.put("a", "first");
    const reload = (etag: string | null) => Source.reload(bucket, log, { objectKey: "a", etag });
    const textOf = async (etag: string | null) => Buffer.from((await reload(etag)) ?? []).toString();
    expect(await textOf(ETag)).toBe("first");
    expect(await textOf(null)).toBe("first");
    await store.put("a", "other");
    expect(await reload(ETag)).toBeUndefined();
    await Bucket.remove(bucket, log, "a");
    expect(await reload(ETag)).toBeUndefined();
    expect(await reload(null)).toBeUndefined();
  });
});
