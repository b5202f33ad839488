import { describe, expect, test } from "vitest";
import * as TooLarge from "#core/upload/too-large";
import { sizes } from "#spec/limits";
import { failure } from "#test/support/run-stores";
import * as Multipart from "./multipart.ts";

const boundary = "xyz";
const part = (disposition: string, body: string, type?: string) =>
  `--${boundary}\r\nContent-Disposition: form-data; ${disposition}\r\n${type === undefined ? "" : `Content-Type: ${type}\r\n`}\r\n${body}\r\n`;
const filePart = (name: string, body = "picture") =>
  part(`name="files"; filename="${name}"`, body, "image/png");
const parse = (text: string, contentType = `multipart/form-data; boundary=${boundary}`) =>
  Multipart.parse(
    { contentType, bytes: Buffer.from(text) },
    {
      bytes: sizes.inlineImageBytes,
      tooLarge: TooLarge.batchForm,
      files: 500,
      advice: "use POST /v1/uploads",
    },
  );
const end = `--${boundary}--\r\n`;

test("files are distinguished from fields, with their names as sent", async () => {
  const form = await parse(
    `${part('name="task_id"', "receipt_v1")}${filePart("a.png")}${filePart("../b.png")}${end}`,
  );
  expect(form.fields).toEqual(new Map([["task_id", ["receipt_v1"]]]));
  expect(form.files).toMatchObject([
    { field: "files", name: "a.png", mimeType: "image/png" },
    { name: "../b.png" },
  ]);
  expect(Buffer.from(form.files[0]?.bytes ?? []).toString()).toBe("picture");
});

test("a missing or different boundary, a broken end, 600 parts and a large body each have their own error", async () => {
  const good = `${filePart("a.png")}${end}`;
  const many = Array.from({ length: 600 }, (_, i) => filePart(`${i}.png`)).join("") + end;
  expect((await failure(parse(good, "multipart/form-data"))).code).toBe("invalid_request");
  expect((await failure(parse(good, "multipart/form-data; boundary=other"))).code).toBe("invalid_request");
  expect((await failure(parse(good.slice(0, 90)))).code).toBe("invalid_request");
  expect((await failure(parse("nothing"))).code).toBe("invalid_request");
  expect((await failure(parse(good, "application/json"))).code).toBe("unsupported_media_type");
  const tooMany = await failure(parse(many));
  expect(JSON.stringify(tooMany.details)).toMatch(/500 files.*\/v1\/uploads/);
  const large = await failure(parse(filePart("a.png", "x".repeat(sizes.inlineImageBytes)) + end));
  expect(large).toMatchObject({ code: "payload_too_large", message: expect.stringContaining("/v1/uploads") });
});

describe("a part that is not part of a form is an error at once, wherever it stands and however large it is", () => {
  const raw = (headers: string, bytes: number) => `--${boundary}\r\n${headers}\r\n${"x".repeat(bytes)}\r\n`;
  const disposition = "Content-Disposition: form-data";
  test.each([
    ["no Content-Disposition", "Content-Type: image/png\r\n"],
    ["another disposition", 'Content-Disposition: attachment; name="files"; filename="a.png"\r\n'],
    ["a disposition alone", `${disposition}\r\n`],
    ["no name", `${disposition}; filename="a.png"\r\n`],
    ["an empty name", `${disposition}; name=""; filename="a.png"\r\n`],
    ["a field without a name", `${disposition}; size=3\r\n`],
    ["two dispositions", `${disposition}; name="a"\r\n${disposition}; name="files"; filename="a.png"\r\n`],
    ["no headers", ""],
    ["a line without colon", 'Content-Disposition form-data; name="files"; filename="a.png"\r\n'],
    ["a line without colon in front", `nothing\r\n${disposition}; name="files"; filename="a.png"\r\n`],
    ["a bare LF in a name", `${disposition}; name="files"; filename="a\nb.png"\r\n`],
    ["a bare CR in a name", `${disposition}; name="files"; filename="a\rb.png"\r\n`],
    ["a NUL in a name", `${disposition}; name="files"; filename="a\0b.png"\r\n`],
    ["headers without an end", `${disposition}; name="files"; filename="a.png"`],
    ["headers of 20 KB", `X: ${"y".repeat(20_000)}\r\n${disposition}; name="files"; filename="a.png"\r\n`],
    ["60 headers", `${"X: y\r\n".repeat(60)}${disposition}; name="files"; filename="a.png"\r\n`],
    ["a folded name", `${disposition};\r\n name="files"; filename="a.png"\r\n`],
  ])("%s", async (_what, headers) => {
    for (const bytes of [0, 10_000, 240_000]) {
      const bad = raw(headers, bytes);
      const good = filePart("good.png");
      for (const text of [bad, bad + good, good + bad, good + bad + good]) {
        const startedAt = Date.now();
        const refused = await failure(parse(text + end));
        expect(refused).toMatchObject({ code: "invalid_request", details: { issues: [{ path: "" }] } });
        expect(Date.now() - startedAt).toBeLessThan(1_000);
      }
    }
  });

  test("delimiters are matched exactly: padded, longer ones, and a body that ends early", async () => {
    const good = filePart("a.png", "x".repeat(240_000));
    for (const text of [
      good.replace("--xyz\r\n", "--xyz \r\n") + end,
      good + good.replace("--xyz\r\n", "--xyzw\r\n") + end,
      good,
      `${good}--${boundary}`,
      `${good}--${boundary}\r\n`,
      good.slice(0, 100_000),
    ])
      expect((await failure(parse(text))).code).toBe("invalid_request");
  });
});

test("valid forms are read: text around the parts, a quoted boundary, large and empty and many parts", async () => {
  const large = "x".repeat(1_000_000);
  const text = `before\r\n${filePart("a.png", large)}${filePart("b.png", "")}${part('name="n"', "")}${filePart(
    "c.png",
    `x--${boundary}\r\n\n--${boundary}--`.repeat(3),
  )}${end}after`;
  const form = await parse(text, `multipart/form-data; charset=utf-8; boundary="${boundary}"`);
  expect(form.files.map(({ name, bytes }) => [name, bytes.length])).toEqual([
    ["a.png", 1_000_000],
    ["b.png", 0],
    ["c.png", 48],
  ]);
  expect(form.fields).toEqual(new Map([["n", [""]]]));
  const many = Array.from({ length: 500 }, (_, i) => filePart(`${i}.png`, "x".repeat(7_000))).join("");
  expect((await parse(many + end)).files).toHaveLength(500);
});
