import { expect, test } from "vitest";
import * as Multipart from "#functions/multipart";
import { sizes } from "#infra/limits";
import { failure } from "#test/run-stores";

const boundary = "xyz";
const part = (disposition: string, body: string, type?: string) =>
  `--${boundary}\r\nContent-Disposition: form-data; ${disposition}\r\n${type === undefined ? "" : `Content-Type: ${type}\r\n`}\r\n${body}\r\n`;
const filePart = (name: string, body = "picture") =>
  part(`name="files"; filename="${name}"`, body, "image/png");
const parse = (text: string, contentType = `multipart/form-data; boundary=${boundary}`) =>
  Multipart.parse(
    { contentType, bytes: Buffer.from(text) },
    { bytes: sizes.inlineImageBytes, files: 500, advice: "use POST /v1/uploads" },
  );
const end = `--${boundary}--\r\n`;

test("files are told apart from fields, with their names as sent", async () => {
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

test("no boundary, another one, a broken end, 600 parts and a large body are named errors", async () => {
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
