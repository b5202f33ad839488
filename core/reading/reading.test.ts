import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type * as Config from "#core/config";
import * as Document from "#core/document/document";
import * as Task from "#core/task/task";
import * as ModelServer from "#test/support/model-server/model-server";
import { picture } from "#test/support/pictures";
import { fields } from "#test/support/privacy";
import * as TestBucket from "#test/support/test-bucket";
import { perform } from "./reading.ts";

/** What is sent to the model server after it refused a picture; the server is scripted. */

let model: ModelServer.ModelServer;
beforeAll(async () => {
  model = await ModelServer.start({ maxModelLen: 8192 });
});
afterAll(() => model.close());
beforeEach(() => {
  model.requests.length = 0;
});

const refusal = ModelServer.error(400, "cannot identify image file <_io.BytesIO object at 0x7f21>");

async function performed(bytes: Uint8Array) {
  const task = Task.get("receipt_fields_v1");
  if (task === undefined) throw new Error("no such task");
  const server: Config.Model = {
    baseUrl: model.url,
    apiKey: undefined,
    model: "scripted-model",
    connectTimeoutMs: 500,
    readTimeoutMs: 2_000,
    maxModelLen: 8192,
    maxTokens: undefined,
    maxImages: 4,
    look: true,
  };
  return await perform(server, {
    task,
    pages: [1],
    document: await Document.open(bytes),
    requestId: "req-1",
    createdAt: new Date(),
    deadline: Date.now() + 10_000,
    signal: new AbortController().signal,
    log: TestBucket.silent,
  });
}

test("a plain picture that the server cannot open is sent once more as a JPEG, and the record says so", async () => {
  model.respond = (_request, n) => (n === 1 ? refusal : ModelServer.json(fields));
  const bytes = await picture(1, "png");
  const { error, record } = await performed(bytes);
  expect(error).toBeUndefined();
  const [first, second] = model.requests.map(({ images }) => images[0]);
  expect(first).toEqual({ mimeType: "image/png", bytes });
  expect(second?.mimeType).toBe("image/jpeg");
  expect(record.sent).toMatchObject({ mime_type: "image/jpeg", bytes: second?.bytes.length });
  expect(record.attempts).toMatchObject([{ kind: "first" }, { kind: "reencoded_picture" }]);
});

test("a JPEG that was made here is sent as a PNG; the second refusal is final", async () => {
  model.respond = () => refusal;
  const { error, record } = await performed(await picture(1, "webp"));
  expect(model.requests.map(({ images }) => images[0]?.mimeType)).toEqual(["image/jpeg", "image/png"]);
  expect([error?.code, error?.details]).toEqual(["inference_failed", { reason: "picture_refused" }]);
  expect(record.attempts).toMatchObject([{ error: "picture_refused" }, { error: "picture_refused" }]);
});
