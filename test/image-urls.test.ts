import { createHash } from "node:crypto";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import * as Proof from "#core/bucket/proof";
import * as Record from "#core/reading/record";
import type { Artifact } from "#core/reading/schema";
import type { Upload } from "#core/upload/upload";
import { answer, type Batches, open, silent } from "#test/support/batches/batches";
import * as ModelServer from "#test/support/model-server/model-server";
import { picture } from "#test/support/pictures";
import { expectPrivate } from "#test/support/privacy";

/** What the server fetched, and how each call came. */
interface Fetched {
  by: "url" | "bytes";
  sha256: string;
}

/** Answers as vLLM does: it fetches a URL itself, and a bucket's refusal becomes a 422 that quotes the whole URL. */
async function vllm(received: ModelServer.Received, seen: Fetched[]): Promise<ModelServer.Behavior> {
  for (const { content } of received.body.messages ?? []) {
    for (const { image_url } of typeof content === "string" ? [] : content) {
      if (image_url === undefined) continue;
      const { url } = image_url;
      const isUrl = url.startsWith("http");
      const got = await fetch(url);
      if (!got.ok)
        return ModelServer.error(
          422,
          `Failed to fetch media from URL: HTTP ${got.status} error (parameter=image_url, value=${url})`,
        );
      const bytes = Buffer.from(await got.arrayBuffer());
      seen.push({ by: isUrl ? "url" : "bytes", sha256: shaOf(bytes) });
      try {
        await sharp(bytes, { failOn: "warning" }).raw().toBuffer();
      } catch {
        return ModelServer.error(400, "image file is truncated (46 bytes not processed)");
      }
    }
  }
  return answer();
}

const shaOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

let batches: Batches;
let seen: Fetched[] = [];
const files = new Map<string, Buffer>();

beforeAll(async () => {
  batches = await open({ env: { VLLM_IMAGE_URLS: "on" } });
  const plain = await picture(1);
  const wide = sharp({ create: { width: 600, height: 400, channels: 3, background: "#fff" } });
  files.set("plain", plain);
  files.set("turned", await sharp(plain).withMetadata({ orientation: 6 }).jpeg().toBuffer());
  files.set("progressive", await wide.clone().jpeg({ progressive: true }).toBuffer());
  files.set("cut", plain.subarray(0, -900));
  for (const [name, bytes] of files) await put(name, bytes);
});
afterAll(async () => {
  await batches?.close();
});

const put = (name: string, body: Buffer) =>
  Bucket.replace(batches.bucket, silent, `data/shared/urls/${name}.jpg`, { body, contentType: "image/jpeg" });

/** Runs a batch over these files. @returns its artifacts. */
async function read(runId: string, names: string[], more: Record<string, unknown> = {}): Promise<Artifact[]> {
  seen = [];
  batches.model.respond = (received) => vllm(received, seen);
  const keys = names.map((name) => `shared/urls/${name}.jpg`);
  await batches.create({ run_id: runId, keys, concurrency: 1, ...more });
  await batches.ended(runId, 60_000);
  return await artifacts(runId);
}

async function artifacts(runId: string): Promise<Artifact[]> {
  const found = [];
  for (const { artifactRel } of await batches.items(runId)) {
    const artifact = await Record.get(batches.bucket, silent, artifactRel ?? "");
    if (artifact !== undefined) found.push(artifact);
  }
  return found;
}

describe("a batch picture that needs no change", () => {
  test("is fetched by the model server itself: nothing reads or looks at its pixels here", async () => {
    const [plain, turned] = await read("plain", ["plain", "turned"]);
    expect(seen).toEqual([
      { by: "url", sha256: shaOf(files.get("plain") as Buffer) },
      { by: "url", sha256: shaOf(files.get("turned") as Buffer) },
    ]);
    const { etag } = (await Bucket.head(batches.bucket, silent, "data/shared/urls/plain.jpg")) ?? {};
    expect(plain).toMatchObject({
      ...{ status: "succeeded", quality: null, image_sha256: null },
      input: { etag, bytes: files.get("plain")?.length, sha256: null, width: 320, height: 400 },
      sent: {
        by: "url",
        width: 320,
        height: 400,
        mime_type: "image/jpeg",
        bytes: files.get("plain")?.length,
      },
    });
    // As the server turns it.
    expect(turned?.sent).toMatchObject({ by: "url", width: 400, height: 320 });
    const gets = batches.loop.events("s3_get").filter(({ range }) => range !== true);
    expect(gets.filter(({ bytes }) => bytes === files.get("plain")?.length)).toEqual([]);
  }, 120_000);

  test("has the hash that its uploader declared, because the bucket compared it", async () => {
    await Proof.keep(batches.db, { ok: true, at: new Date().toISOString(), checksum: true });
    const bytes = files.get("plain") as Buffer;
    const sha256 = shaOf(bytes);
    const refs = [];
    for (const wish of [{ sha256: sha256.toUpperCase() }, {}]) {
      const json = { mime_type: "image/jpeg", bytes: bytes.length, ...wish };
      const { body } = await batches.loop.call("/v1/uploads", { json });
      const { image_ref, upload_url, headers } = body as Upload;
      expect((await fetch(upload_url, { method: "PUT", headers, body: bytes })).status).toBe(200);
      refs.push({ image_ref });
    }
    batches.model.respond = (received) => vllm(received, seen);
    await batches.made({ run_id: "declared", manifest: refs });
    await batches.ended("declared", 60_000);
    const found = await artifacts("declared");
    expect(found.map(({ image_sha256, input, sent }) => [image_sha256, input?.sha256, sent?.sha256])).toEqual(
      [
        [sha256, sha256, sha256],
        [null, null, null],
      ],
    );
    expect(found.map(({ sent }) => sent?.by)).toEqual(["url", "url"]);
  }, 120_000);

  test("is sent as bytes where the run asks for a look", async () => {
    const [artifact] = await read("looked", ["plain"], { look: true });
    expect(seen.map(({ by }) => by)).toEqual(["bytes"]);
    expect(artifact?.quality).toMatchObject({ ok: expect.any(Boolean) });
    expect(artifact?.image_sha256).toBe(shaOf(files.get("plain") as Buffer));
  }, 120_000);
});

test("a picture that needs decoding is sent as bytes", async () => {
  const [artifact] = await read("progressive", ["progressive"]);
  expect(seen.map(({ by }) => by)).toEqual(["bytes"]);
  expect(artifact?.sent).not.toHaveProperty("by");
}, 120_000);

test("a damaged picture is the picture's fault: the next one goes by URL again", async () => {
  const [cut, plain] = await read("cut", ["cut", "plain"]);
  expect(cut).toMatchObject({ status: "failed", error: { code: "invalid_image" } });
  expect(plain?.sent).toMatchObject({ by: "url" });
  expect(batches.loop.events("image_urls_off")).toEqual([]);
}, 120_000);

describe("a picture that is replaced while the server fetches it", () => {
  test("is asked again by bytes, with the calls of both", async () => {
    await put("swapped", files.get("plain") as Buffer);
    seen = [];
    batches.model.respond = async (received, n) => {
      const behavior = await vllm(received, seen);
      if (seen.length === 1) await put("swapped", await picture(2));
      return n > 0 ? behavior : answer();
    };
    // These rows name no version, so the newest counts.
    await batches.seed({ runId: "swapped", total: 1, concurrency: 1, key: "shared/urls/swapped.jpg" });
    await batches.ended("swapped", 60_000);
    const [artifact] = await artifacts("swapped");
    expect(seen.map(({ by }) => by)).toEqual(["url", "bytes"]);
    expect(artifact).toMatchObject({
      ...{ status: "succeeded", image_sha256: shaOf(await picture(2)) },
      usage: { attempts: 2, prompt_tokens: 200 },
    });
    expect(artifact?.sent).not.toHaveProperty("by");
  }, 120_000);

  test("fails where the run names the version that is gone", async () => {
    await put("pinned", files.get("plain") as Buffer);
    seen = [];
    batches.model.respond = async (received) => {
      const behavior = await vllm(received, seen);
      await put("pinned", await picture(3));
      return behavior;
    };
    await batches.create({ run_id: "pinned", keys: ["shared/urls/pinned.jpg"] });
    await batches.ended("pinned", 60_000);
    const [artifact] = await artifacts("pinned");
    expect(artifact).toMatchObject({
      ...{ status: "failed", result: null },
      error: { code: "conflict", details: { reason: "upload_replaced" } },
      usage: { attempts: 1 },
    });
  }, 120_000);
});

test("no signed URL is in a log, an answer or an artifact, also where the server's refusal quotes it", async () => {
  seen = [];
  batches.model.respond = async (received) => {
    const raw = JSON.stringify(received.body.messages);
    const [url] = /http:[^"]+/.exec(raw) ?? [];
    if (url === undefined) return await vllm(received, seen);
    return ModelServer.error(
      422,
      `Failed to fetch media from URL: HTTP 403 error (parameter=image_url, value=${url})`,
    );
  };
  await batches.create({
    run_id: "refused",
    keys: ["plain", "turned", "plain"].map((name) => `shared/urls/${name}.jpg`),
    concurrency: 1,
  });
  await batches.ended("refused", 60_000);
  const stored = await artifacts("refused");
  expect(stored.map(({ status }) => status)).toEqual(["succeeded", "succeeded", "succeeded"]);
  expect(stored.map(({ sent }) => sent?.by)).toEqual([undefined, undefined, undefined]);
  // Once, and from then on nothing is tried by URL.
  expect(batches.loop.events("image_urls_off")).toMatchObject([{ reason: "picture_not_fetched" }]);
  expect(stored.map(({ usage }) => usage.attempts)).toEqual([2, 1, 1]);
  const items = await batches.loop.call("/v1/runs/refused/items");
  for (const text of [JSON.stringify(stored), items.text]) expect(text).not.toContain("X-Amz");
  expectPrivate(batches.loop);
}, 120_000);
