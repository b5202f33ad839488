import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import type { Artifact } from "#core/reading/schema";
import { replay } from "#core/replay/replay";
import { usageTable } from "#core/usage/usage.sql";
import { documents } from "#spec/limits";
import * as Batches from "#test/support/batches/batches";
import * as ModelServer from "#test/support/model-server/model-server";
import * as Papers from "#test/support/papers";
import { pagesOf, sheets } from "#test/support/sheets";

/*
 * A file of six documents takes two workers (`documents.stepCalls` calls each). The first one is killed by SIGKILL at each
 * moment between its last call and the message for the next worker: nothing is lost, and no call that was stored is made again.
 */

const pages = 6;
/** Before it happens: the last call of the step is stored, its row is queued, its message is sent, that is noted. */
const windows = ["store", "requeue", "send", "note"] as const;
type Window = (typeof windows)[number];

let batches: Batches.Batches;
let bytes: Buffer;
/** The window at which the worker is to be killed, and how far it came. */
let victim:
  | { functionName: "single" | "item"; window: Window; stored: number; sent: boolean; kills: number }
  | undefined;

/** True when the worker came to this window and is dead now. */
function dies(window: Window): boolean {
  if (victim === undefined || victim.window !== window || victim.kills > 0) return false;
  const { functionName } = victim;
  const busy = batches.loop.lambda
    .instances()
    .find((one) => one.functionName === functionName && one.state === "busy");
  if (busy === undefined || !batches.loop.lambda.killInstance(busy.pid)) return false;
  victim.kills += 1;
  return true;
}
const isBetween = () => victim !== undefined && victim.stored === documents.stepCalls;

beforeAll(async () => {
  bytes = await sheets(pages);
  batches = await Batches.open({
    timeScale: 1 / 10,
    model: {
      maxModelLen: 8_192,
      respond: async (request) => {
        const [page = 0] = await pagesOf(request);
        return ModelServer.json(
          Papers.receipt(page, {}, { merchant: Papers.merchant(`Shop ${page}`) }).result ?? {},
        );
      },
    },
    onRequest: {
      s3: ({ operation, key }) => {
        if (victim === undefined || operation !== "PutObject" || !key.includes("~step-")) return undefined;
        if (victim.stored + 1 === documents.stepCalls && dies("store")) return { status: 0 };
        victim.stored += 1;
        return undefined;
      },
      sql: () => {
        if ((isBetween() && dies("requeue")) || (victim?.sent && dies("note")))
          throw new Error("the caller is dead");
      },
      sqs: ({ action, byFunction }) => {
        if (!byFunction || !action.startsWith("SendMessage") || !isBetween() || victim === undefined) return;
        if (dies("send")) throw new Error("the caller is dead");
        victim.sent = true;
        // If its next statement is long in coming, the other worker may have the message by then.
        setTimeout(() => dies("note"), 20);
      },
    },
  });
  await Bucket.replace(batches.bucket, Batches.silent, "data/shared/six.tif", {
    ...{ body: bytes, contentType: "image/tiff" },
  });
});
afterAll(() => batches?.close());

const used = async () => {
  const rows = await batches.db.query.select().from(usageTable);
  const sum = (name: "pages" | "modelCalls" | "items") => rows.reduce((all, row) => all + row[name], 0);
  return { pages: sum("pages"), calls: sum("modelCalls"), items: sum("items") };
};

const stepsLeft = async () =>
  (await Bucket.list(batches.bucket, Batches.silent, { prefix: "extracts/" })).objects
    .map(({ rel }) => rel)
    .filter((rel) => rel.includes("~step-"));

/** Each way to work that goes on in steps. @returns the id of its artifact when it has ended. */
const ways = {
  item: async (id: string) => {
    const manifest = [{ image_key: "shared/six.tif", split: "auto" }];
    await batches.made({ run_id: id, task_id: "receipt_v1", manifest, concurrency: 1 });
    const run = await batches.ended(id, 240_000);
    expect(run.counts).toMatchObject({ total: 1, succeeded: 1, pages, documents: pages });
    const [item] = await batches.verify(id);
    expect(item).toMatchObject({ attempts: 1, pagesRead: pages });
    return `${id}~0`;
  },
  single: async (id: string) => {
    const json = { image_base64: bytes.toString("base64"), split: "auto", task_id: "receipt_v1" };
    const headers = { prefer: "respond-async" };
    const send = async () =>
      (await batches.loop.call("/v1/extract", { json: { ...json, request_id: id }, headers })).status;
    // With a tenth of its time a call may be too slow on a busy machine; callers repeat it.
    await expect.poll(send, { timeout: 60_000 }).toBe(202);
    const read = async () => (await batches.loop.call(`/v1/extracts/${id}`)).body;
    await expect.poll(read, { timeout: 240_000, interval: 100 }).toMatchObject({ status: "succeeded" });
    return id;
  },
};

describe.each(["item", "single"] as const)("a worker of the queue %s", (functionName) => {
  test.each(windows)(
    "that dies before the %s costs no call that was stored, and each page is counted once",
    async (window) => {
      const before = await used();
      const from = batches.model.requests.length;
      victim = { functionName, window, stored: 0, sent: false, kills: 0 };
      const id = await ways[functionName](`${functionName}-${window}`);
      expect(victim.kills).toBe(1);
      victim = undefined;
      // What the model said last is lost with the worker that had not stored it.
      const lost = window === "store" ? 1 : 0;
      expect(batches.model.requests.length - from).toBe(pages + lost);
      const artifact = (await batches.loop.call(`/v1/debug/artifacts/${id}`)).body as Artifact;
      expect(artifact.documents?.map((each) => [...each.pages, each.status])).toEqual(
        Array.from({ length: pages }, (_, index) => [index + 1, "succeeded"]),
      );
      expect(await replay(artifact, "1")).toMatchObject({ outcome: "same", differences: [] });
      await expect.poll(stepsLeft, { timeout: 10_000 }).toEqual([]);
      const after = await used();
      expect([after.pages - before.pages, after.calls - before.calls, after.items - before.items]).toEqual([
        ...[pages, pages, 1],
      ]);
    },
    300_000,
  );
});
