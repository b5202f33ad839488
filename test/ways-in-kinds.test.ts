import { createHash } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, readFileSync } from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Document from "#core/document/document";
import { download } from "#core/remote/download";
import { limits, loopback } from "#core/remote/download-for-tests";
import { packageRoot } from "#local/home/home";
import { sizes } from "#spec/limits";
import { type Cli, open } from "#test/support/batch-cli";
import type { Answer } from "#test/support/loop";
import * as Pdf from "#test/support/pdf";
import { encrypted } from "#test/support/pdf-encryption";
import { errorOf, fields, formOf, type Rig, start } from "#test/support/source-loop";

/**
 * PDF and HEIC by every way in and out: each accepts both, up to a documented size, and refuses unreadable files with a
 * named error.
 */

let at: Rig;
let cli: Cli;
let receiver: http.Server;
const told: string[] = [];
beforeAll(async () => {
  receiver = http.createServer(async (request, response) => {
    let body = "";
    for await (const piece of request.setEncoding("utf8")) body += piece;
    told.push(body);
    response.writeHead(204).end();
  });
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  at = await start({ env: { WEBHOOK_ALLOW_PRIVATE: "1" } });
  cli = open();
});
afterAll(async () => {
  cli?.remove();
  await at?.close();
  receiver?.closeAllConnections();
  receiver?.close();
});

const sample = (name: string) => readFileSync(join(packageRoot, "samples", name));
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const kinds = [
  { name: "invoice.pdf", type: "application/pdf", kind: "pdf" },
  { name: "toom.heic", type: "image/heic", kind: "picture" },
];
const env = () => ({ OCRLTY_URL: at.loop.url, OCRLTY_API_KEY: at.loop.apiKey });

/** Puts a file below the data root. */
async function put(path: string, bytes: Uint8Array): Promise<void> {
  const json = { kind: "data", path, mime_type: "application/octet-stream", bytes: bytes.length };
  const { body, text } = await at.call("/v1/uploads", { json });
  const { upload_url, headers } = body as { upload_url: string; headers: Record<string, string> };
  const { status } = await fetch(upload_url, { method: "PUT", headers, body: new Uint8Array(bytes) });
  expect(status, text).toBe(200);
}

async function ended(id: string) {
  await expect
    .poll(async () => (await at.call(`/v1/runs/${id}`)).body, { timeout: 60_000 })
    .toMatchObject({ status: "succeeded" });
  return (await at.call(`/v1/runs/${id}`)).body;
}
const itemsOf = async (id: string) =>
  ((await at.call(`/v1/runs/${id}/items`)).body as { items: Record<string, unknown>[] }).items;

/** Each single route, as a call with these bytes. */
const singles: Record<string, (bytes: Buffer, type: string) => Promise<Answer>> = {
  "the body itself": (bytes, type) =>
    at.call("/v1/extract", {
      ...{ method: "POST", body: new Uint8Array(bytes), headers: { "content-type": type } },
    }),
  "a form": async (bytes) => at.call("/v1/extract", await formOf({ file: bytes }, "a")),
  image_base64: (bytes) => at.extract({ image_base64: bytes.toString("base64") }),
  "a data URL": (bytes, type) =>
    at.extract({ image_base64: `data:${type};base64,${bytes.toString("base64")}` }),
  image_ref: async (bytes, type) => at.extract({ image_ref: (await at.upload(bytes, type)).image_ref }),
};

describe.each(kinds)("$name", ({ name, type, kind }) => {
  const bytes = sample(name);

  test.each(Object.keys(singles))("is read by %s, byte for byte as it was sent", async (route) => {
    const answer = (await singles[route]?.(bytes, type)) as Answer;
    expect([answer.status, answer.body], answer.text).toMatchObject([
      200,
      { status: "succeeded", result: fields, image_sha256: sha256(bytes) },
    ]);
    const { request_id } = answer.body as { request_id: string };
    const { artifact } = await at.artifactOf(request_id);
    expect(artifact.input).toMatchObject({ kind, mime_type: type, bytes: bytes.length, pages: 1 });
  });

  test("is read by image_url: the file is fetched, up to 20 MiB, and opened", async () => {
    const tooLarge = { "content-length": String(sizes.imageUrlBytes + 1) };
    const server = http.createServer(({ url }, response) =>
      url === "/large" ? response.writeHead(200, tooLarge).flushHeaders() : response.end(bytes),
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    try {
      const { port } = server.address() as AddressInfo;
      const fetch = (path: string) =>
        download(
          `http://pictures.example:${port}/${path}`,
          { ...limits, maxBytes: sizes.imageUrlBytes },
          loopback(),
        );
      const fetched = await fetch(name);
      expect(sha256(fetched)).toBe(sha256(bytes));
      expect(await Document.open(fetched)).toMatchObject({ kind, mimeType: type });
      await expect(fetch("large")).rejects.toMatchObject({ code: "image_too_large", status: 413 });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test("is read by the command line, and again by its id", async () => {
    copyFileSync(join(packageRoot, "samples", name), join(cli.dir, name));
    const read = await cli.run(["extract", name], { env: env() });
    expect(read.status, read.stderr).toBe(0);
    const answer = JSON.parse(read.stdout) as { request_id: string };
    expect(answer).toMatchObject({ result: fields, image_sha256: sha256(bytes) });
    const again = await cli.run(["extract", "--get", answer.request_id], { env: env() });
    expect(JSON.parse(again.stdout)).toMatchObject(answer);
  });
});

describe("a run over both kinds", () => {
  const types = { "application/pdf": 1, "image/heic": 1 };
  const counts = { total: 2, succeeded: 2, failed: 0, pages: 2, documents: 2 };
  /** Each way into a run. @returns its call. */
  const ways: Record<string, (json: Record<string, unknown>) => Promise<Answer>> = {
    "a manifest of uploads": async (json) => {
      const refs = await Promise.all(kinds.map(({ name, type }) => at.upload(sample(name), type)));
      const manifest = kinds.map(({ name }, i) => ({ file: name, image_ref: refs[i]?.image_ref }));
      return at.call("/v1/batch_extract", { json: { ...json, manifest } });
    },
    "an uploaded manifest of keys": async (json) => {
      await Promise.all(kinds.map(({ name }) => put(`listed/${name}`, sample(name))));
      const key = (name: string) => ({ file: name, image_key: `local-admin/listed/${name}` });
      const lines = Buffer.from(kinds.map(({ name }) => `${JSON.stringify(key(name))}\n`).join(""));
      const announced = await at.call("/v1/uploads", {
        json: { kind: "manifest", mime_type: "application/jsonl", bytes: lines.length },
      });
      const { manifest_ref, upload_url, headers } = announced.body as {
        manifest_ref: string;
        upload_url: string;
        headers: Record<string, string>;
      };
      await fetch(upload_url, { method: "PUT", headers, body: new Uint8Array(lines) });
      return at.call("/v1/batch_extract", { json: { ...json, manifest_ref } });
    },
    "a folder of the bucket": async (json) => {
      await Promise.all(kinds.map(({ name }) => put(`folder/${name}`, sample(name))));
      return at.call("/v1/batch_extract", { json: { ...json, images_dir: "local-admin/folder" } });
    },
    "a form": async (json) => {
      const form = new FormData();
      for (const [field, value] of Object.entries(json)) form.set(field, String(value));
      for (const { name, type } of kinds)
        form.append("files", new Blob([new Uint8Array(sample(name))], { type }), name);
      const response = new Response(form);
      const headers = { "content-type": response.headers.get("content-type") ?? "" };
      const body = new Uint8Array(await response.arrayBuffer());
      return at.call("/v1/batch_extract_upload", { method: "POST", headers, body });
    },
  };

  test.each(Object.entries(ways))(
    "from %s reads them, calls its webhook, and has a row for each",
    async (way, begin) => {
      const run_id = `both-${Object.keys(ways).indexOf(way)}`;
      const { port } = receiver.address() as AddressInfo;
      const made = await begin({ run_id, webhook_url: `http://127.0.0.1:${port}/` });
      expect(made.status, made.text).toBe(202);
      expect(await ended(run_id)).toMatchObject({ counts, types });
      const items = await itemsOf(run_id);
      for (const { name, kind, type } of kinds) {
        const item = items.find(({ file }) => String(file).endsWith(name));
        expect(item).toMatchObject({ status: "succeeded", result: fields, pages: 1, error: null });
        const { artifact } = await at.artifactOf(String(item?.request_id));
        expect(artifact.input).toMatchObject({ kind, mime_type: type, sha256: sha256(sample(name)) });
      }
      const { text } = await at.call(`/v1/runs/${run_id}/results?format=csv`);
      const rows = parse<Record<string, string>>(text, { columns: true });
      expect(rows.map(({ pages, document, total }) => [pages, document, total])).toEqual([
        ["1", "", "12.00"],
        ["1", "", "12.00"],
      ]);
      const mine = () => told.map((body) => JSON.parse(body)).filter(({ data }) => data.run_id === run_id);
      await expect
        .poll(mine, { timeout: 30_000 })
        .toMatchObject([{ type: "run.succeeded", data: { counts, types } }]);
    },
  );

  test("from a folder of the command line has a row for each in the table that it writes", async () => {
    for (const { name } of kinds) cli.file(`both/${name}`, sample(name));
    const ran = await cli.run(["batch", "both", "--run-id", "by-cli", "--out", "out.csv"], { env: env() });
    expect(ran.status, ran.stderr).toBe(0);
    const rows = parse<Record<string, string>>(cli.read("out.csv"), { columns: true, bom: true });
    expect(rows.map(({ file, pages, total }) => [file, pages, total])).toEqual([
      ["invoice.pdf", "1", "12.00"],
      ["toom.heic", "1", "12.00"],
    ]);
  });
});

describe("a file that cannot be read", () => {
  const bill = Pdf.partsOf([{ content: Pdf.lines(["Invoice 4711", "Total 12.00"]) }]);
  const files: Record<string, [bytes: Buffer, status: number, code: string, reason: string | undefined]> = {
    "a PDF without print": [Buffer.from(Pdf.pages([{ content: "" }])), 400, "invalid_image", "blank_page"],
    "a PDF that is cut off": [sample("invoice.pdf").subarray(0, 300), 400, "invalid_image", "pdf_broken"],
    "a PDF with a password": [
      Buffer.from(encrypted(bill, { method: "aes256", user: "sesame-4711" })),
      ...([400, "invalid_image", "pdf_encrypted"] as const),
    ],
    "a HEIC that is cut off": [sample("toom.heic").subarray(0, 90_000), 400, "invalid_image", "damaged"],
    "another file": [Buffer.from("4711 is a text"), 415, "unsupported_media_type", undefined],
  };

  test.each(Object.keys(files))(
    "%s has one named error by each route, and the model is not asked",
    async (name) => {
      const [bytes, status, code, reason] = files[name] as (typeof files)[string];
      const type = name.includes("HEIC") ? "image/heic" : "application/pdf";
      for (const [route, call] of Object.entries(singles)) {
        const answer = await at.withoutModel(() => call(bytes, type));
        expect([route, answer.status, errorOf(answer).code, errorOf(answer).details?.reason]).toEqual([
          ...[route, status, code, reason],
        ]);
      }
      const { image_ref } = await at.upload(bytes, type);
      const run_id = `unread-${Object.keys(files).indexOf(name)}`;
      const before = at.model.requests.length;
      await at.call("/v1/batch_extract", { json: { run_id, manifest: [{ image_ref }] } });
      await ended(run_id);
      const error = { code, ...(reason === undefined ? {} : { details: { reason } }) };
      expect(await itemsOf(run_id)).toMatchObject([{ status: "failed", result: null, error }]);
      expect(at.model.requests.length).toBe(before);
    },
  );
});

describe("the sizes of the table in docs/documents.md", () => {
  const padded = (bytes: Buffer, size: number) => Buffer.concat([bytes, Buffer.alloc(size - bytes.length)]);

  test.each(["the body itself", "a form", "image_base64", "a data URL"])(
    "%s takes 4 MiB, and one byte more is payload_too_large",
    async (route) => {
      // Bytes behind the picture are not read.
      const most = padded(sample("toom.heic"), sizes.inlineImageBytes - (route === "a form" ? 1_000 : 0));
      expect((await singles[route]?.(most, "image/heic"))?.status).toBe(200);
      const over = padded(sample("toom.heic"), sizes.inlineImageBytes + 1);
      const refused = (await singles[route]?.(over, "image/heic")) as Answer;
      expect([refused.status, errorOf(refused).code]).toEqual([413, "payload_too_large"]);
      expect(errorOf(refused).details).toMatchObject({
        limit_bytes: sizes.inlineImageBytes,
        recipe: expect.any(Array),
      });
    },
  );

  test("an upload accepts a PDF that is larger than a picture may be, and refuses a picture of that size, whatever its name is", async () => {
    const size = sizes.uploadImageBytes + 1_000_000;
    const large = Buffer.from(
      Pdf.pages([{ content: Pdf.lines(["Invoice 4711", "Total 12.00"]) }], {
        more: [{ dict: "", data: Buffer.alloc(size, "x") }],
      }),
    );
    const { image_ref } = await at.upload(large, "application/pdf");
    expect((await at.extract({ image_ref })).status).toBe(200);
    const disguised = await at.upload(padded(sample("toom.heic"), size), "application/pdf");
    const refused = await at.withoutModel(() => at.extract({ image_ref: disguised.image_ref }));
    expect([refused.status, errorOf(refused).code]).toEqual([413, "image_too_large"]);
    await put("large/a.pdf", large);
    const json = { run_id: "large", images_dir: "local-admin/large" };
    expect((await at.call("/v1/batch_extract", { json })).status).toBe(202);
    expect(await ended("large")).toMatchObject({ counts: { succeeded: 1 } });
  });

  test.each([
    ["image/heic", "image", sizes.uploadImageBytes],
    ["application/pdf", "image", sizes.uploadPdfBytes],
    ["application/pdf", "data", sizes.uploadPdfBytes],
    ["image/heic", "data", sizes.uploadImageBytes],
  ])("of %s as %s an announcement of one byte more is image_too_large", async (mime_type, kind, most) => {
    const json = (bytes: number) => ({ mime_type, kind, bytes, ...(kind === "data" ? { path: "a/b" } : {}) });
    expect((await at.call("/v1/uploads", { json: json(most) })).status).toBe(201);
    const refused = await at.call("/v1/uploads", { json: json(most + 1) });
    expect([refused.status, errorOf(refused).code]).toEqual([413, "image_too_large"]);
    expect(errorOf(refused).details).toMatchObject({ limit_bytes: most, bytes: most + 1 });
  });
});
