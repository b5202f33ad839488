import { afterAll, beforeAll, expect, test } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import * as ModelServer from "#test/support/model-server/model-server";
import * as TestBucket from "#test/support/test-bucket";
import { findings } from "./image-urls.ts";

let model: ModelServer.ModelServer;
let store: TestBucket.TestBucket;
let env: Record<string, string>;
let fetched = 0;

beforeAll(async () => {
  store = await TestBucket.start();
  model = await ModelServer.start({ model: "scripted" });
  const { bucket, endpoint = "", accessKeyId, secretAccessKey, prefix } = store.bucket.settings;
  env = {
    ...{ VLLM_IMAGE_URLS: "on", VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted" },
    ...{ S3_BUCKET: bucket, S3_ENDPOINT_URL: endpoint, S3_PREFIX: prefix, S3_FORCE_PATH_STYLE: "1" },
    ...{ S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey },
  };
});
afterAll(async () => {
  await Promise.all([model.close(), store.close()]);
});

const urlIn = ({ body }: ModelServer.Received) =>
  /"url":"(http[^"]+)"/.exec(JSON.stringify(body.messages))?.[1] ?? "";

test("a server that fetches from the bucket is ok, and no picture stays there", async () => {
  model.respond = async (received) => {
    const got = await fetch(urlIn(received));
    fetched = (await got.arrayBuffer()).byteLength;
    return ModelServer.json({});
  };
  expect(await findings(env)).toMatchObject([{ check: "image_urls", state: "ok" }]);
  expect(fetched).toBeGreaterThan(50_000);
  expect((await Bucket.list(store.bucket, TestBucket.silent, { prefix: "inputs/" })).objects).toEqual([]);
});

test("one that refuses is told, without the URL that it quotes", async () => {
  model.respond = (received) =>
    ModelServer.error(400, `The URL must be from one of the allowed domains (value=${urlIn(received)})`);
  const found = await findings(env);
  expect(found).toMatchObject([{ state: "wrong", found: expect.stringContaining("400") }]);
  expect(JSON.stringify(found)).not.toContain("X-Amz");
});

test("nothing is asked where it is off, or the bucket is not known", async () => {
  const before = model.requests.length;
  expect(await findings({ ...env, VLLM_IMAGE_URLS: "off" })).toEqual([]);
  expect(await findings({ ...env, S3_BUCKET: "" })).toEqual([]);
  expect(model.requests.length).toBe(before);
});
