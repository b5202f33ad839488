import { expect, test } from "vitest";
import { batches, sizes } from "#spec/limits";
import * as TooLarge from "./too-large.ts";

const cases: Record<keyof typeof TooLarge, [ReturnType<typeof TooLarge.inline>, RegExp]> = {
  inline: [TooLarge.inline(5_200_000), /5 MiB and a call carries 4 MiB: .*POST \/v1\/uploads, up to 20 MiB/],
  batchForm: [
    TooLarge.batchForm(9_000_000),
    /8\.6 MiB .* 4 MiB: .*POST \/v1\/uploads.*manifest.*batch FOLDER/,
  ],
  upload: [
    TooLarge.upload(26_214_400, "image", sizes.uploadImageBytes),
    /25 MiB .* 20 MiB: .*scale it down .*PDF may have 50 MiB/,
  ],
  remote: [
    TooLarge.remote(sizes.imageUrlBytes, undefined),
    /20 MiB are fetched: .*POST \/v1\/uploads, up to 20 .* 50 MiB for a PDF/,
  ],
  stored: [TooLarge.stored(sizes.uploadImageBytes), /20 MiB that are read of a picture: .*scale it down/],
};

test.each(Object.entries(cases))("%s names the limit and another way, in steps", (name, [error, words]) => {
  const code = /^(?:inline|batchForm)$/.test(name) ? "payload_too_large" : "image_too_large";
  expect(error).toMatchObject({ code, status: 413, retry: false });
  expect(error.message).toMatch(words);
  expect(error.details).toMatchObject({ limit_bytes: expect.any(Number), recipe: expect.any(Array) });
  expect(Object.values(error.details?.recipe ?? {}).length).toBeGreaterThan(1);
});

test("the answer says to split a manifest, and gives a picture's exact size for the announcement", () => {
  expect(TooLarge.upload(300_000_000, "manifest", batches.manifestBytes).message).toContain(
    "split it into several runs",
  );
  expect(TooLarge.inline(5_200_000).details?.recipe).toContainEqual(
    expect.stringContaining("bytes: 5200000"),
  );
  // A form is larger than its picture.
  expect(JSON.stringify(TooLarge.inline(5_200_000, "form").details?.recipe)).not.toContain("bytes: 5200000");
});
