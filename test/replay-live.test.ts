/** The model asked again about one artifact, over HTTP against the whole stack. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cli, open as openCli } from "#test/support/batch-cli";
import * as Batches from "#test/support/batches/batches";
import * as ModelServer from "#test/support/model-server/model-server";
import { picture } from "#test/support/pictures";

let batches: Batches.Batches;
let cli: Cli;
beforeAll(async () => {
  batches = await Batches.open({ httpInstances: 4 });
  cli = openCli();
});
afterAll(async () => {
  cli?.remove();
  await batches?.close();
});

const ocrlty = (...args: string[]) =>
  cli.run(args, { env: { OCRLTY_URL: batches.loop.url, OCRLTY_API_KEY: batches.loop.apiKey } });
const says = (total: string) => {
  const nothing = { subtotal: null, tax: null, service: null, discount: null, cash: null, card: null };
  batches.model.respond = () => ModelServer.json({ ...nothing, change: null, total });
};
const again = async (...args: string[]) => {
  const { status, stdout, stderr } = await ocrlty("replay", ...args, "--live");
  return { status, text: stdout + stderr };
};

test("an item is read again from the picture that its run keeps, by its id or by the file of its artifact", async () => {
  says("12.00");
  const keys = await batches.keys(2);
  await batches.create({ keys, run_id: "kept" });
  await batches.ended("kept");
  expect(await again("kept~1")).toMatchObject({
    status: 0,
    text: expect.stringContaining("the same: kept~1"),
  });
  says("12.50");
  const drifted = await again("kept~1");
  expect(drifted).toMatchObject({
    status: 1,
    text: expect.stringContaining('result.total: "12.00" before, "12.50" now'),
  });
  const { text: artifact } = await batches.loop.call("/v1/debug/artifacts/kept~1");
  cli.file("kept.json", artifact);
  const { status, stdout } = await ocrlty("replay", "kept.json", "--live", "--json");
  expect([status, JSON.parse(stdout)]).toMatchObject([
    1,
    {
      source_request_id: "kept~1",
      same: false,
      differences: [{ path: "result.total", stored: "12.00", now: "12.50" }],
    },
  ]);
  // Only one picture was read each time.
  const { items } = (await batches.loop.call("/v1/runs")).body as { items: { counts: { total: number } }[] };
  expect(items.map(({ counts }) => counts.total).toSorted()).toEqual([1, 1, 1, 2]);
}, 60_000);

test("an extract is read again from its upload, else from the same file; a picture that is not kept is reported", async () => {
  says("1.00");
  const file = cli.file("a.png", await picture(3, "png"));
  cli.file("b.png", await picture(4, "png"));
  const body = { image_base64: (await picture(3, "png")).toString("base64"), request_id: "inline-1" };
  expect((await batches.loop.call("/v1/extract", { json: body })).status).toBe(200);
  says("2.00");
  expect(await again("inline-1")).toMatchObject({
    ...{
      status: 2,
      text: expect.stringContaining("the picture of inline-1 is not kept (it came in the call itself)"),
    },
  });
  expect(await again("inline-1", "--picture", "b.png")).toMatchObject({
    ...{ status: 2, text: expect.stringContaining("b.png is not the picture of inline-1") },
  });
  const seen = await again("inline-1", "--picture", file);
  expect(seen).toMatchObject({ status: 1, text: expect.stringContaining('"1.00" before, "2.00" now') });
  // The picture that was read again is in an upload, which its artifact names.
  const readAgain = /read again as (\S+)/.exec(seen.text)?.[1] ?? "";
  expect(await again(readAgain)).toMatchObject({ status: 0 });
  const { body: artifact } = await batches.loop.call(`/v1/debug/artifacts/${readAgain}`);
  const { image_ref } = (artifact as { input: { image_ref: string } }).input;
  expect((await batches.loop.call(`/v1/uploads/${image_ref}`, { method: "DELETE" })).status).toBe(200);
  expect(await again(readAgain)).toMatchObject({
    ...{ status: 2, text: expect.stringContaining("is not kept (its upload was removed)") },
  });
}, 60_000);

test("a run without any result to compare is no success", async () => {
  // Bytes that only begin like a picture.
  cli.file("broken/a.jpg");
  expect((await ocrlty("batch", "broken", "--run-id", "unread", "--keep-inputs")).status).toBe(1);
  expect(await again("unread")).toMatchObject({
    status: 1,
    text: expect.stringContaining("0 of 0 documents are"),
  });
}, 60_000);
