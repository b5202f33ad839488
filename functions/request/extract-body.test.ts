import { describe, expect, test } from "vitest";
import type { RawBody } from "#functions/request/operation";
import { sizes } from "#spec/limits";
import { picture } from "#test/support/pictures";
import { failure } from "#test/support/run-stores";
import * as Doors from "./doors.ts";
import * as ExtractBody from "./extract-body.ts";

const boundary = "xyz";
const field = (name: string, text: string) =>
  Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`);
const file = (name: string, bytes: Uint8Array, type = "image/jpeg") =>
  Buffer.concat([
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="${name}"; filename="photo.jpg"\r\nContent-Type: ${type}\r\n\r\n`,
    ),
    bytes,
    Buffer.from("\r\n"),
  ]);
const form = (...parts: Buffer[]): RawBody => ({
  contentType: `multipart/form-data; boundary=${boundary}`,
  bytes: Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]),
});
const raw = (bytes: Uint8Array | string, contentType?: string): RawBody => ({
  contentType,
  bytes: typeof bytes === "string" ? Buffer.from(bytes) : bytes,
});
const json = { contentType: "application/json", bytes: Buffer.alloc(0) };
const read = (body: RawBody, query: Record<string, string> = {}) => ExtractBody.read(query, undefined, body);
const said = async (body: RawBody, query: Record<string, string> = {}) =>
  (await failure(read(body, query))).message;

const jpeg = await picture(1, "jpeg");

describe("one request, in every form", () => {
  const debug = { max_tokens: 900, schema_override: { type: "object", properties: { b: {}, a: {} } } };
  const options = { task_id: "receipt_v1", request_id: "door-1" };

  test("a form, the picture itself and JSON give the same request", async () => {
    const wanted = { ...options, debug };
    const text = JSON.stringify(debug);
    const asForm = await read(
      form(
        file("file", jpeg),
        field("task_id", "receipt_v1"),
        field("request_id", "door-1"),
        field("debug", text),
        field("mime_type", ""),
      ),
    );
    const asBytes = await read(raw(jpeg, "image/jpeg"), { ...options, debug: text });
    const half = await read(form(file("file", jpeg), field("debug", text)), options);
    for (const { image, ...fields } of [asForm, asBytes, half]) {
      expect(fields).toEqual(wanted);
      expect(image?.declaredMimeType).toBe("image/jpeg");
      expect(Buffer.from(image?.bytes ?? []).equals(jpeg)).toBe(true);
    }
    const body = { image_base64: jpeg.toString("base64"), debug };
    expect(await ExtractBody.read(options, body, json)).toEqual({
      ...wanted,
      image_base64: body.image_base64,
    });
  });

  test.each([
    undefined,
    "application/octet-stream",
    "binary/octet-stream",
    "image/png",
    "application/pdf",
    // The Content-Type that curl sends for --data-binary without -H.
    "application/x-www-form-urlencoded",
  ])("the bytes decide, whatever the stated type is: %s", async (type) => {
    const { image } = await read(raw(jpeg, type));
    expect(image?.declaredMimeType).toBe(
      type === "image/png" || type === "application/pdf" ? type : undefined,
    );
  });

  test("a form may name an upload, too", async () => {
    expect(await read(form(field("image_ref", "upload_1")))).toEqual({
      task_id: "receipt_fields_v1",
      image_ref: "upload_1",
    });
  });
});

test.each([
  ["--x\r\nContent-Disposition: form-data; name=a", "this is a form"],
  // As `curl -F` with a Content-Type of JSON.
  ['--------x\r\nContent-Disposition: attachment; name="file"', "this is a form"],
  [Buffer.from(jpeg).toString(), "this is a file"],
  ["%PDF-1.7", "this is a file"],
  ['{"a": 1,}', undefined],
  ["--", undefined],
  ["", undefined],
])("a body that was sent as JSON and is not JSON: %#", (text, words) => {
  const said = Doors.notJson(text);
  expect(words === undefined ? said : said?.slice(0, words.length)).toBe(words);
});

describe("a mistake is answered with what to type", () => {
  const two = form(file("file", jpeg), file("file", jpeg));
  const stripped = Buffer.from(jpeg.filter((byte) => byte !== 0 && byte !== 10 && byte !== 13));
  test.each<[string, RawBody, Record<string, string>, string]>([
    [
      "another field",
      form(file("image", jpeg)),
      {},
      "image: the picture goes into the field named file: -F file=@",
    ],
    ["two pictures", two, {}, "exactly one picture is needed: send many with POST /v1/batch_extract_upload"],
    ["no @", form(field("file", "photo.jpg")), {}, "file: is text, not a file: with curl -F file=@photo.jpg"],
    ["base64 in a form", form(field("image_base64", "x")), {}, "image_base64: is for JSON"],
    ["no picture", form(field("task_id", "x")), {}, "exactly one of file, image_ref and image_url is needed"],
    [
      "a picture and a ref",
      form(file("file", jpeg), field("image_ref", "u")),
      {},
      "exactly one of file, image_ref and image_url is needed",
    ],
    ["an empty file", form(file("file", Buffer.alloc(0))), {}, "file: the file is empty"],
    [
      "a field twice",
      form(file("file", jpeg), field("task_id", "a"), field("task_id", "b")),
      {},
      "task_id: is there more than once",
    ],
    [
      "a field in two places",
      form(file("file", jpeg), field("task_id", "a")),
      { task_id: "a" },
      "task_id: is in the query and in the form: say it once",
    ],
    ["an unknown field", form(file("file", jpeg), field("tusk", "a")), {}, "tusk: "],
    [
      "no JSON",
      form(file("file", jpeg), field("debug", "max_tokens=1")),
      {},
      "debug: must be JSON, an object:",
    ],
    ["a list for an object", raw(jpeg, "image/jpeg"), { debug: "[1]" }, "debug: must be JSON, an object:"],
    [
      "a number of the wrong kind",
      raw(jpeg, "image/jpeg"),
      { debug: '{"max_tokens":"x"}' },
      "debug.max_tokens: ",
    ],
    [
      "JSON by curl -d",
      raw('{"image_ref":"u"}', "application/x-www-form-urlencoded"),
      {},
      "add -H 'Content-Type: application/json'",
    ],
    [
      "fields by curl -d",
      raw("task_id=a", "application/x-www-form-urlencoded"),
      {},
      "curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg'",
    ],
    [
      "a picture by curl -d",
      raw(stripped, "image/jpeg"),
      {},
      "as curl -d does it: curl --data-binary @photo.jpg",
    ],
    [
      "a form under another type",
      raw(form(file("file", jpeg)).bytes, "image/jpeg"),
      {},
      "this is a form: leave -H",
    ],
    ["a form without boundary", { ...two, contentType: "multipart/form-data" }, {}, "leave that header out"],
    ["text", raw("hello", "text/plain"), {}, "a picture is sent as it is: curl --data-binary"],
    ["nothing", raw("", "image/jpeg"), {}, "the body is missing: send the picture (curl -F file=@photo.jpg"],
  ])("%s", async (_what, body, query, words) => {
    expect(await said(body, query)).toContain(words);
  });

  test("a body that is too large gets a hint at the way that takes it, in every form", async () => {
    const large = Buffer.alloc(sizes.inlineImageBytes + 1);
    jpeg.copy(large);
    for (const body of [raw(large, "image/jpeg"), form(file("file", large))]) {
      const error = await failure(read(body));
      expect(error).toMatchObject({
        code: "payload_too_large",
        details: { limit_bytes: sizes.inlineImageBytes },
      });
      expect(error.message).toContain("POST /v1/uploads");
      expect(error.details?.recipe).toHaveLength(3);
      expect(JSON.stringify(error.details?.recipe)).toContain(`bytes: ${large.length}`);
    }
    const form5 = await failure(read(form(file("file", Buffer.alloc(5_000_000)))));
    expect(form5).toMatchObject({
      code: "payload_too_large",
      message: expect.stringContaining("/v1/uploads"),
    });
  });

  test("a field of JSON that is in the query as well is refused", async () => {
    const thrown = await failure(ExtractBody.read({ task_id: "a" }, { task_id: "a", image_ref: "u" }, json));
    expect(thrown.message).toBe("task_id: is in the query and in the body: say it once");
  });
});
