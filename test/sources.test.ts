/** The sources of pictures, end to end, over every protocol. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Key from "#core/key/key";
import type { Answer, CallOptions } from "#test/support/loop";
import { base64, picture } from "#test/support/pictures";
import { errorOf, fields, issuesOf, pepper, pngOf, type Rig, start } from "#test/support/source-loop";

let at: Rig;
beforeAll(async () => {
  at = await start();
});
afterAll(() => at?.close());

describe("an uploaded picture", () => {
  test("above the inline limit is read from the bucket, as the artifact shows", async () => {
    const side = 1_400;
    const noise = Buffer.from(
      Uint32Array.from({ length: (side * side * 3) / 4 }, (_, n) => (n * 2_654_435_761) >>> 0).buffer,
    );
    const png = await sharp(noise, { raw: { width: side, height: side, channels: 3 } })
      .png({ compressionLevel: 0 })
      .toBuffer();
    expect(png.length).toBeGreaterThan(5_000_000);
    const { image_ref } = await at.upload(png, "image/png");
    const answer = await at.extract({ image_ref, request_id: "large-1" });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ status: "succeeded", result: fields });
    const { artifact } = await at.artifactOf("large-1");
    expect(artifact.input).toMatchObject({
      source: "upload",
      mime_type: "image/png",
      declared_mime_type: "image/png",
      bytes: png.length,
    });
    // The same picture and id is the same payload, whichever way it came.
    const again = await at.withoutModel(() => at.extract({ image_ref, request_id: "large-1" }));
    expect(again.headers.get("idempotent-replayed")).toBe("true");
  });

  test("is judged by its bytes, whatever was declared", async () => {
    const { image_ref } = await at.upload(await picture(31, "webp"), "image/png");
    expect((await at.extract({ image_ref, request_id: "other-type" })).status).toBe(200);
    expect((await at.artifactOf("other-type")).artifact.input).toMatchObject({
      mime_type: "image/webp",
      declared_mime_type: "image/png",
    });
    const text = await at.upload(Buffer.from("4711 is text"), "image/png");
    const answer = await at.withoutModel(() => at.extract({ image_ref: text.image_ref }));
    expect([answer.status, errorOf(answer).code]).toEqual([415, "unsupported_media_type"]);
  });

  test("of another key is answered exactly like an unknown one", async () => {
    const { image_ref } = await at.upload(await picture(32));
    const unknown = `upload_${"x".repeat(24)}`;
    const [theirs, none] = await Promise.all(
      [image_ref, unknown].map((ref) =>
        at.extract({ image_ref: ref }, { key: at.client, headers: { "x-request-id": "same" } }),
      ),
    );
    expect(theirs?.status).toBe(404);
    expect(theirs?.text).toBe(none?.text);
    expect(theirs?.text).not.toContain("upload_");
  });

  test("that was never filled is refused with this reason, and can be filled and used later", async () => {
    const bytes = await picture(33);
    const { image_ref, upload_url, headers } = await at.announce(bytes.length);
    const answer = await at.withoutModel(() => at.extract({ image_ref }));
    expect([answer.status, errorOf(answer).code]).toEqual([400, "invalid_request"]);
    expect(errorOf(answer).details).toMatchObject({
      reason: "upload_missing",
      issues: [{ path: "image_ref" }],
    });
    expect((await fetch(upload_url, { method: "PUT", headers, body: new Uint8Array(bytes) })).status).toBe(
      200,
    );
    expect((await at.extract({ image_ref })).status).toBe(200);
  });

  test("that was replaced in the bucket after the first read is refused", async () => {
    const { image_ref } = await at.upload(await picture(34));
    expect((await at.extract({ image_ref })).status).toBe(200);
    const object = `inputs/uploads/local-admin/${image_ref.slice("upload_".length)}`;
    await at.s3.send(
      new PutObjectCommand({ Bucket: at.loop.env.S3_BUCKET, Key: object, Body: await picture(35) }),
    );
    const answer = await at.withoutModel(() => at.extract({ image_ref }));
    expect([answer.status, errorOf(answer).code, errorOf(answer).details.reason]).toEqual([
      409,
      "conflict",
      "upload_replaced",
    ]);
  });

  test("is handed over by reference: no copy is made, and it stays when the extract ends", async () => {
    const { image_ref } = await at.upload(await picture(36));
    const accepted = await at.extract(
      { image_ref, request_id: "later-1" },
      { headers: { prefer: "respond-async" } },
    );
    expect(accepted.status).toBe(202);
    expect(await at.keysBelow("inputs/tmp/local-admin/later-1")).toEqual([]);
    await expect
      .poll(async () => (await at.call("/v1/extracts/later-1")).status, { timeout: 15_000 })
      .toBe(200);
    expect((await at.call("/v1/extracts/later-1")).body).toMatchObject({
      status: "succeeded",
      result: fields,
    });
    expect(
      await at.keysBelow(`inputs/uploads/local-admin/${image_ref.slice("upload_".length)}`),
    ).toHaveLength(1);
  });

  test("is announced with the scope and with any hint of its type, and refused by size before it is sent", async () => {
    const narrow = (
      await Key.create(at.db, pepper, { keyId: "narrow-1", role: "client", scopes: ["runs:delete"] })
    ).api_key;
    const cases: [Record<string, unknown>, CallOptions, number, string][] = [
      [{ mime_type: "image/png", bytes: 10 }, { key: narrow }, 403, "forbidden"],
      [{ mime_type: "image/png", bytes: 20 * 1024 * 1024 + 1 }, {}, 413, "image_too_large"],
      [{ mime_type: "image/png", bytes: 0 }, {}, 400, "invalid_request"],
      [{ mime_type: "image/png", bytes: 10, kind: "data" }, {}, 400, "invalid_request"],
      [
        { mime_type: "image/png", bytes: 10 },
        { headers: { "idempotency-key": "a b" } },
        400,
        "invalid_request",
      ],
    ];
    for (const [json, options, status, code] of cases) {
      const answer = await at.call("/v1/uploads", { ...options, json });
      expect([answer.status, errorOf(answer).code], JSON.stringify(json)).toEqual([status, code]);
    }
    // The bytes decide about the type, as on the other routes.
    const hinted = await at.call("/v1/uploads", { json: { mime_type: "image/svg+xml", bytes: 10 } });
    expect(hinted.status).toBe(201);
  });

  test("with an Idempotency-Key is announced once", async () => {
    const json = { mime_type: "image/png", bytes: 10 };
    const headers = { "idempotency-key": "upload-4711" };
    const first = await at.call("/v1/uploads", { json, headers });
    const again = await at.call("/v1/uploads", { json, headers });
    expect(first.headers.get("idempotent-replayed")).toBeNull();
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect(again.body).toEqual(first.body);
    expect((await at.call("/v1/uploads", { json: { ...json, bytes: 11 }, headers })).status).toBe(409);
    // The same Idempotency-Key for another kind of call is another payload.
    expect((await at.extract({ image_base64: await base64() }, { headers })).status).toBe(409);
  });

  test("leaves neither its URL nor its reference in the logs", async () => {
    const { image_ref, upload_url } = await at.upload(await picture(37));
    await at.extract({ image_ref });
    const signature = new URL(upload_url).searchParams.get("X-Amz-Signature") ?? "";
    expect(signature).toHaveLength(64);
    const all = at.loop.lines.join("\n");
    expect(all).toContain("POST /v1/uploads");
    expect(all).not.toContain(signature);
    expect(all).not.toContain(image_ref.slice("upload_".length));
  });
});

describe("a picture that is sent in another form than JSON", () => {
  /** As `curl -F` and a browser send it. */
  async function asForm(bytes: Buffer, fields: Record<string, string>, options: CallOptions = {}) {
    const form = new FormData();
    form.append("file", new Blob([new Uint8Array(bytes)], { type: "image/jpeg" }), "photo.jpg");
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    const sent = new Response(form);
    const headers = { "content-type": sent.headers.get("content-type") ?? "", ...options.headers };
    return at.call("/v1/extract", { ...options, body: new Uint8Array(await sent.arrayBuffer()), headers });
  }
  const asBytes = (bytes: Buffer, query: string, headers: Record<string, string> = {}) =>
    at.call(`/v1/extract${query}`, {
      body: new Uint8Array(bytes),
      headers: { "content-type": "image/jpeg", ...headers },
    });

  test("is the same call in each form, by its request_id and by its Idempotency-Key", async () => {
    const bytes = await picture(41);
    const debug = { max_tokens: 777 };
    const first = await asForm(bytes, { request_id: "door-1", debug: JSON.stringify(debug) });
    expect(first.status, first.text).toBe(200);
    expect(first.body).toMatchObject({ request_id: "door-1", task_id: "receipt_fields_v1", result: fields });
    expect((await at.artifactOf("door-1")).artifact.input).toMatchObject({
      source: "inline",
      declared_mime_type: "image/jpeg",
      bytes: bytes.length,
    });
    const image_base64 = bytes.toString("base64");
    const inQuery = `debug=${encodeURIComponent(JSON.stringify(debug))}`;
    for (const again of [
      () => asBytes(bytes, `?request_id=door-1&${inQuery}`),
      () => at.extract({ image_base64, request_id: "door-1", debug }),
      () => at.call(`/v1/extract?request_id=door-1&${inQuery}`, { json: { image_base64 } }),
    ]) {
      const answer = await at.withoutModel(again);
      expect(answer.headers.get("idempotent-replayed"), answer.text).toBe("true");
      expect(answer.body).toEqual(first.body);
    }
    const headers = { "idempotency-key": "doors-4711" };
    expect((await at.extract({ image_base64 }, { headers })).status).toBe(200);
    for (const again of [() => asBytes(bytes, "", headers), () => asForm(bytes, {}, { headers })])
      expect((await at.withoutModel(again)).headers.get("idempotent-replayed")).toBe("true");
    // Another picture or option makes it another call.
    const other = await picture(42);
    for (const answer of [
      await asForm(other, { request_id: "door-1", debug: JSON.stringify(debug) }),
      await asBytes(bytes, "?request_id=door-1"),
      await asForm(other, {}, { headers }),
    ])
      expect(answer.status).toBe(409);
  });

  test("is handed over like any other", async () => {
    const answer = await asBytes(await picture(43), "?request_id=door-2", { prefer: "respond-async" });
    expect(answer.status).toBe(202);
    await expect
      .poll(async () => (await at.call("/v1/extracts/door-2")).status, { timeout: 15_000 })
      .toBe(200);
  });

  test("is refused with an explanation if it cannot be read", async () => {
    const bytes = await picture(44);
    const json = { "content-type": "application/json" };
    const sayings: [Promise<Answer>, number, string][] = [
      [asForm(bytes, {}, { headers: json }), 415, "this is a form, sent as JSON: leave -H"],
      [asBytes(bytes, "", json), 415, "this is a file, sent as JSON: curl --data-binary"],
      [asBytes(bytes, "", { "content-type": "text/plain" }), 415, "a picture is sent as it is: curl"],
      [asBytes(gzipSync(bytes), "", { "content-encoding": "gzip" }), 415, "without Content-Encoding"],
      [asBytes(bytes, "?task_id=a&task_id=b"), 400, "task_id: is in the query more than once"],
      [asBytes(bytes, "?task_id="), 400, "task_id: is empty"],
      [asBytes(Buffer.alloc(0), ""), 400, "the body is missing: send the picture (curl -F file=@photo.jpg"],
      // 4 MiB plus one byte, whose event still fits through the gateway.
      [asBytes(Buffer.concat([bytes, Buffer.alloc(4 * 1024 * 1024)]), ""), 413, "POST /v1/uploads"],
    ];
    for (const [asked, status, words] of sayings) {
      const answer = await asked;
      expect([answer.status, errorOf(answer).message]).toEqual([status, expect.stringContaining(words)]);
    }
  });
});

describe("exactly one picture", () => {
  test("is required exactly once: none and two are refused with the fields' names", async () => {
    const none = await at.withoutModel(() => at.extract({}));
    expect(none.status).toBe(400);
    expect(issuesOf(none)).toEqual([
      { path: "image_base64", message: "exactly one of image_base64, image_ref, image_url is needed" },
    ]);
    const given = {
      image_base64: await base64(),
      image_ref: "upload_4711",
      image_url: "http://pictures.example/4711",
    };
    for (const pair of [
      ["image_base64", "image_ref"],
      ["image_ref", "image_url"],
      ["image_base64", "image_url"],
      Object.keys(given),
    ]) {
      const json = Object.fromEntries(Object.entries(given).filter(([name]) => pair.includes(name)));
      const answer = await at.withoutModel(() => at.extract(json));
      expect([answer.status, errorOf(answer).code]).toEqual([400, "invalid_request"]);
      expect(issuesOf(answer).map(({ path }) => path)).toEqual(pair);
      expect(answer.text).not.toContain("4711");
    }
  });
});

describe("a file that is not a supported picture", () => {
  const page = "<html><script>alert(4711)</script></html>";
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>4711</text></svg>';
  const pngSignature = Buffer.from("89504e470d0a1a0a", "hex");
  const cases: [string, () => Promise<Buffer>, number, string][] = [
    ["SVG", async () => Buffer.from(svg), 415, "unsupported_media_type"],
    [
      "SVG with a prolog",
      async () => Buffer.from(`<?xml version="1.0"?>${svg}`),
      415,
      "unsupported_media_type",
    ],
    ["compressed SVG", async () => gzipSync(svg), 415, "unsupported_media_type"],
    ["a text file named .png", async () => Buffer.from("4711 is text"), 415, "unsupported_media_type"],
    [
      "a PDF with a JPEG in it and nothing else",
      async () => Buffer.concat([Buffer.from("%PDF-1.7\n"), await picture()]),
      400,
      "invalid_image",
    ],
    [
      "HTML with a JPEG in it",
      async () => Buffer.concat([Buffer.from(page), await picture()]),
      415,
      "unsupported_media_type",
    ],
    ["a ZIP", async () => Buffer.from("504b0304140000000000", "hex"), 415, "unsupported_media_type"],
    ["a JPEG XL", async () => Buffer.from("ff0afa1f0190", "hex"), 415, "unsupported_media_type"],
    [
      "a HEIC's head alone",
      async () => Buffer.from("00000018667479706865696300000000", "hex"),
      400,
      "invalid_image",
    ],
    [
      "a bitmap",
      async () => Buffer.concat([Buffer.from("BM"), Buffer.alloc(60)]),
      415,
      "unsupported_media_type",
    ],
    ["a GIF that is a script", async () => Buffer.from("GIF89a/*4711*/=alert(4711)"), 400, "invalid_image"],
    [
      "a PNG signature on HTML",
      async () => Buffer.concat([pngSignature, Buffer.from(page)]),
      400,
      "invalid_image",
    ],
    ["a JPEG's head alone", async () => (await picture()).subarray(0, 20), 400, "invalid_image"],
    ["a truncated JPEG", async () => (await picture(41)).subarray(0, -900), 400, "invalid_image"],
  ];
  test.each(cases)("%s", async (_name, make, status, code) => {
    const bytes = await make();
    const answer = await at.withoutModel(() =>
      at.extract({ image_base64: bytes.toString("base64"), mime_type: "image/png" }),
    );
    expect([answer.status, errorOf(answer).code]).toEqual([status, code]);
    expect(answer.text).not.toMatch(/4711|node_modules|\.ts:| at \S+ \(/);
  });

  test("a JPEG with a ZIP behind it is a JPEG: what follows the picture is ignored", async () => {
    const both = Buffer.concat([await picture(42), Buffer.from("504b0304140000000000", "hex")]);
    const answer = await at.extract({ image_base64: both.toString("base64"), request_id: "polyglot" });
    expect(answer.status).toBe(200);
    expect((await at.artifactOf("polyglot")).artifact.input).toMatchObject({ mime_type: "image/jpeg" });
  });

  test("a PNG of 100 KB and 30,000 × 30,000 pixels is refused within a second, inline and uploaded", async () => {
    const bomb = pngOf(30_000, 30_000);
    expect(bomb.length).toBeLessThan(120_000);
    const { image_ref } = await at.upload(bomb, "image/png");
    for (const json of [{ image_base64: bomb.toString("base64") }, { image_ref }]) {
      const startedAt = Date.now();
      const answer = await at.withoutModel(() => at.extract(json));
      expect(Date.now() - startedAt).toBeLessThan(1_000);
      expect([answer.status, errorOf(answer).code]).toEqual([413, "image_too_large"]);
      expect(errorOf(answer).details).toMatchObject({ limit_megapixels: 100, megapixels: 900 });
    }
  });
});

describe("image_url", () => {
  test("cannot reach our own network: the host behind it gets no connection, and neither the answer nor the logs have the URL", async () => {
    let connections = 0;
    const server = createServer((_request, response) => void response.end("4711"));
    server.on("connection", () => connections++);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const urls: [string, string][] = [
      [`http://127.0.0.1:${port}/canary4711.png`, "url_not_allowed"],
      ["http://127.0.0.1/canary4711.png", "address_not_allowed"],
      ["http://[::ffff:169.254.169.254]/canary4711", "address_not_allowed"],
      [`http://localhost:${port}/canary4711.png`, "url_not_allowed"],
      ["file:///canary4711", "url_not_allowed"],
      ["canary4711", "url_invalid"],
    ];
    for (const [image_url, reason] of urls) {
      const answer = await at.withoutModel(() => at.extract({ image_url }));
      expect([answer.status, errorOf(answer).code]).toEqual([400, "invalid_request"]);
      expect(errorOf(answer).details).toMatchObject({ reason, issues: [{ path: "image_url" }] });
      expect(answer.text.replaceAll(at.loop.url, "")).not.toMatch(/4711|127\.0|169\.254|localhost/);
    }
    server.close();
    expect(connections).toBe(0);
    expect(at.loop.events("url_get").length).toBe(urls.length);
    expect(at.loop.lines.join("\n")).not.toContain("canary4711");
  });

  test("needs the scope debug:run, and is refused before anything is fetched", async () => {
    const answer = await at.withoutModel(() =>
      at.extract({ image_url: "https://pictures.example/4711.png" }, { key: at.client }),
    );
    expect([answer.status, errorOf(answer).code]).toEqual([403, "forbidden"]);
    expect(errorOf(answer).details).toEqual({
      reason: "scope_missing",
      field: "image_url",
      required_scopes: ["debug:run"],
    });
  });
});
