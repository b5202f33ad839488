import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { receive } from "#local/s3/body";

const payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

async function* streamOf(bytes: Buffer, sizes: number[]): AsyncGenerator<Buffer> {
  for (let at = 0, n = 0; at < bytes.length; n += 1) {
    const size = sizes[n % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function read(
  headers: Record<string, string>,
  wire: Buffer,
  sizes = [7],
  kind = payload,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of receive({ stream: streamOf(wire, sizes), headers, payload: kind }))
    chunks.push(chunk);
  return Buffer.concat(chunks);
}

function chunked(parts: Buffer[], trailer: string): Buffer {
  const chunks = parts.flatMap((part) => [`${part.length.toString(16)}\r\n`, part, "\r\n"]);
  return Buffer.concat([...chunks, `0\r\n${trailer}\r\n`].map((one) => Buffer.from(one as string)));
}

function crcOf(bytes: Buffer): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  return sum.toString("base64");
}

describe("the aws-chunked coding", () => {
  test("gives back the bytes, however they were cut on either side", async () => {
    const part = fc.uint8Array({ minLength: 1, maxLength: 300 });
    const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 8 }), sizes, async (parts, cuts) => {
        const buffers = parts.map((one) => Buffer.from(one));
        const whole = Buffer.concat(buffers);
        const wire = chunked(buffers, `x-amz-checksum-crc32:${crcOf(whole)}\r\n`);
        const headers = {
          "x-amz-decoded-content-length": String(whole.length),
          "x-amz-trailer": "x-amz-checksum-crc32",
        };
        expect((await read(headers, wire, cuts)).equals(whole)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test("a body that is cut off, longer, shorter or malformed is refused", async () => {
    const right = chunked([Buffer.from("hello"), Buffer.from("world")], "");
    const headers = (length: number) => ({ "x-amz-decoded-content-length": String(length) });
    expect(String(await read(headers(10), right))).toBe("helloworld");
    const refused = { code: "IncompleteBody" };
    for (let end = 0; end < right.length - 2; end += 1)
      await expect(read(headers(10), right.subarray(0, end)), `cut at ${end}`).rejects.toMatchObject(refused);
    await expect(read(headers(9), right)).rejects.toMatchObject(refused);
    await expect(read(headers(11), right)).rejects.toMatchObject(refused);
    for (const wire of [
      "zz\r\nhello\r\n0\r\n\r\n",
      "5\r\nhelloworld\r\n0\r\n\r\n",
      "5\nhello\n0\n\n",
      "f".repeat(9000),
    ])
      await expect(read(headers(5), Buffer.from(wire)), wire).rejects.toMatchObject(refused);
    await expect(read(headers(10), Buffer.concat([right, Buffer.from("x")]))).rejects.toMatchObject(refused);
  });

  test("a wrong or missing trailing checksum is refused", async () => {
    const headers = { "x-amz-decoded-content-length": "5", "x-amz-trailer": "x-amz-checksum-crc32" };
    for (const trailer of ["", "x-amz-checksum-crc32:AAAAAA==\r\n"])
      await expect(read(headers, chunked([Buffer.from("hello")], trailer))).rejects.toMatchObject({
        code: "BadDigest",
      });
  });
});

describe("plain bodies", () => {
  test("each promised digest is compared, each unknown one refused", async () => {
    const body = Buffer.from("hello");
    const length = { "content-length": "5" };
    const unsigned = "UNSIGNED-PAYLOAD";
    for (const [name, right] of [
      ["content-md5", createHash("md5").update(body).digest("base64")],
      ["x-amz-checksum-sha1", createHash("sha1").update(body).digest("base64")],
      ["x-amz-checksum-sha256", createHash("sha256").update(body).digest("base64")],
      ["x-amz-checksum-crc32", crcOf(body)],
    ] as const) {
      expect(String(await read({ ...length, [name]: right }, body, [2], unsigned))).toBe("hello");
      const wrong = { ...length, [name]: right.replace(/^./, (first) => (first === "A" ? "B" : "A")) };
      await expect(read(wrong, body, [2], unsigned)).rejects.toMatchObject({ code: "BadDigest" });
    }
    const refusals = [
      [{ ...length, "x-amz-checksum-crc64nvme": "x" }, unsigned, "NotImplemented"],
      [length, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "NotImplemented"],
      [length, "other", "InvalidArgument"],
      [{}, unsigned, "MissingContentLength"],
      [{ "content-length": String(6 * 1024 ** 3) }, unsigned, "EntityTooLarge"],
    ] as const;
    for (const [headers, kind, code] of refusals)
      await expect(read(headers, body, [2], kind)).rejects.toMatchObject({ code });
  });
});
