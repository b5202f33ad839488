import { expect, test } from "vitest";
import type { AppError } from "#core/error";
import { sizes } from "#spec/limits";
import * as MostBytes from "./most-bytes.ts";

const piece = Buffer.alloc(1024 * 1024, "x");

/** A file of this many bytes, in pieces, and the number of bytes that were read. */
function file(head: string, bytes: number) {
  const taken = { bytes: 0 };
  async function* body(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(head.slice(0, 3), "latin1");
    yield Buffer.from(head.slice(3), "latin1");
    for (taken.bytes = head.length; taken.bytes < bytes; ) {
      const next = piece.subarray(0, bytes - taken.bytes);
      taken.bytes += next.length;
      yield next;
    }
  }
  return { body: body(), taken };
}

const refusal = (reading: Promise<unknown>) =>
  reading.then(
    () => undefined,
    (error: AppError) => error,
  );

test("a JPEG of 40 MiB that was announced as a PDF is refused when it is read, after 20 MiB of it", async () => {
  const bytes = 40 * 1024 * 1024;
  expect(MostBytes.announced({ mimeType: "application/pdf", name: undefined })).toBeGreaterThan(bytes);
  const { body, taken } = file("\xff\xd8\xff\xe0", bytes);
  expect(await refusal(MostBytes.collect(body))).toMatchObject({
    code: "image_too_large",
    status: 413,
    details: { limit_bytes: sizes.uploadImageBytes },
  });
  expect(taken.bytes).toBeLessThan(sizes.uploadImageBytes + 2 * piece.length);
});

test("a PDF is read up to 50 MiB, whatever it was announced as", async () => {
  const whole = await MostBytes.collect(file("%PDF-1.7\n", sizes.uploadPdfBytes).body);
  expect(whole.length).toBe(sizes.uploadPdfBytes);
  const more = file("%PDF-1.7\n", sizes.uploadPdfBytes + 1);
  expect(await refusal(MostBytes.collect(more.body))).toMatchObject({
    code: "image_too_large",
    details: { limit_bytes: sizes.uploadPdfBytes },
    message: expect.stringContaining("in parts"),
  });
});

test.each([
  ["image/jpeg", "scan.pdf", sizes.uploadImageBytes],
  ["application/pdf", undefined, sizes.uploadPdfBytes],
  ["application/octet-stream", "scans/2026/A.PDF", sizes.uploadPdfBytes],
  ["application/octet-stream", undefined, sizes.uploadImageBytes],
])("an announcement of %s named %s may have %i bytes", (mimeType, name, most) => {
  expect(MostBytes.announced({ mimeType, name })).toBe(most);
});
