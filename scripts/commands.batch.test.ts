/** The commands of batches against a whole local loop, with a scripted model server. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cli, open } from "#scripts/batch/cli-for-tests";
import { exit } from "#scripts/context";
import { startLoop, type TestLoop } from "#test/loop";
import * as ModelServer from "#test/model-server";
import { picture } from "#test/pictures";

const fields = {
  total: "12.00",
  subtotal: "-5.00",
  tax: null,
  service: null,
  discount: null,
  cash: null,
  card: null,
  change: null,
};

let cli: Cli;
let loop: TestLoop;
let model: ModelServer.ModelServer;
/** Closed: the model server holds its answers back. */
let gate = Promise.withResolvers<void>();

beforeAll(async () => {
  cli = open();
  gate.resolve();
  model = await ModelServer.start({
    respond: async () => {
      await gate.promise;
      return ModelServer.json(fields);
    },
  });
  loop = await startLoop({
    home: join(cli.dir, "home"),
    env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", VLLM_API_KEY: "model-key" },
  });
  for (const [i, name] of ["receipt 10.jpg", "receipt 2.jpg", "sub/c.png"].entries())
    cli.file(`in/${name}`, await picture(i + 1, name.endsWith("png") ? "png" : "jpeg"));
  cli.file("broken/a.jpg", await picture(7));
  // It begins like one, so only the server can tell.
  cli.file("broken/b.jpg", Buffer.from("\xff\xd8\xffthis is no picture at all", "latin1"));
});
afterAll(async () => {
  gate.resolve();
  await loop?.close();
  await model?.close();
  cli?.remove();
});

const rowsOf = (csv: string) =>
  csv
    .trim()
    .split("\n")
    .map((line) => line.split(","));

describe("on a local loop", () => {
  it("a folder becomes a table that a spreadsheet opens safely, in natural order", async () => {
    const { status, stdout } = await cli.run(["batch", "in", "--run-id", "one", "--out", "one.csv"]);
    expect({ status, stdout }).toEqual({
      status: exit.ok,
      stdout: "one succeeded: 3 of 3 succeeded\none.csv\n",
    });
    const [head = [], ...rows] = rowsOf(cli.read("one.csv"));
    const column = (name: string) => rows.map((row) => row[head.indexOf(name)]);
    expect(column("file")).toEqual(["receipt 2.jpg", "receipt 10.jpg", "sub/c.png"]);
    expect(column("total")).toEqual(["12.00", "12.00", "12.00"]);
    // No formula, so it stays as it is printed.
    expect(column("subtotal")).toEqual(["-5.00", "-5.00", "-5.00"]);
  });

  it("a broken picture fails alone: exit status 1, and a rerun of the failed ones reads just that", async () => {
    const args = ["batch", "broken", "--run-id", "two", "--keep-inputs", "--json"];
    const { status, stdout } = await cli.run(args);
    expect(status).toBe(exit.items);
    const items = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(items.map(({ file, status }) => [file, status])).toEqual([
      ["a.jpg", "succeeded"],
      ["b.jpg", "failed"],
    ]);
    const before = model.requests.length;
    const again = await cli.run(["rerun", "two", "--only", "failed", "--out", "again.json"]);
    expect(again.status).toBe(exit.items);
    const { items: failed } = JSON.parse(cli.read("again.json"));
    expect(failed.map(({ file }: { file: string }) => file)).toEqual(["b.jpg"]);
    expect(model.requests.length).toBe(before);
  });

  it("Ctrl-C stops the waiting, not the run, and the resume gets all of it without a second model call", async () => {
    gate = Promise.withResolvers<void>();
    const before = model.requests.length;
    const abort = new AbortController();
    const waiting = cli.run(
      ["batch", "in", "--run-id", "three", "--out", "three.jsonl", "--concurrency", "2"],
      {
        signal: abort.signal,
      },
    );
    await expect.poll(() => model.requests.length, { timeout: 10_000 }).toBe(before + 2);
    abort.abort();
    const { status, stderr } = await waiting;
    expect(status).toBe(exit.interrupted);
    expect(stderr).toContain("npm run ocrlty -- batch --resume three\n");
    expect(cli.read("three.jsonl")).toBe("");
    gate.resolve();
    const resumed = await cli.run(["batch", "--resume", "three"]);
    expect(resumed.status).toBe(exit.ok);
    expect(cli.read("three.jsonl").trim().split("\n")).toHaveLength(3);
    expect(model.requests.length).toBe(before + 3);
  });

  it("data put fills a folder that a manifest names, ls shows it, rm removes it", async () => {
    const put = await cli.run(["data", "put", "in", "--as", "november", "--json"]);
    expect(JSON.parse(put.stdout)).toMatchObject({ images_dir: "local-admin/november", uploaded: 3 });
    expect(
      JSON.parse((await cli.run(["data", "put", "in", "--as", "november", "--json"])).stdout),
    ).toMatchObject({
      uploaded: 0,
      already_there: 3,
    });
    const key = "local-admin/november/sub/c.png";
    expect((await cli.run(["data", "ls", "local-admin/november/sub"])).stdout).toMatch(
      new RegExp(`${key}\n$`),
    );
    cli.file("m.jsonl", `${JSON.stringify({ image_key: key, custom_id: "c" })}\n`);
    const run = await cli.run(["batch", "m.jsonl", "--json"]);
    expect(run.status).toBe(exit.ok);
    expect(JSON.parse(run.stdout)).toMatchObject({ custom_id: "c", status: "succeeded" });
    const removed = await cli.run(["data", "rm", "local-admin/november", "--yes", "--json"]);
    expect(JSON.parse(removed.stdout)).toEqual({ removed: 3, kept: 0 });
    expect((await cli.run(["data", "ls", "local-admin/"])).stdout).toBe("");
  });

  it("data rm goes past the files that are served read-only and says where they lie; ls refuses what rm refuses", async () => {
    for (const name of ["a.jpg", "z.jpg"]) cli.file(`home/data/shared/both/${name}`, "GIF89a");
    await cli.run(["data", "put", "in", "--as", "both", "--shared"]);
    const { status, stdout, stderr } = await cli.run(["data", "rm", "shared/both", "--yes", "--json"]);
    expect({ status, ...JSON.parse(stdout) }).toEqual({ status: exit.items, removed: 3, kept: 2 });
    expect(stderr).toContain(
      `2 left: they are files of a folder that is served read-only (${join(cli.dir, "home")}`,
    );
    const left = (await cli.run(["data", "ls", "shared/bo"])).stdout.trim().split("\n");
    expect(left.map((line) => line.split("  ").at(-1))).toEqual(["shared/both/a.jpg", "shared/both/z.jpg"]);
    for (const name of ["../", "../x", "/etc", "a//b", "./x"])
      expect(await cli.run(["data", "ls", name])).toMatchObject({ status: exit.failed, stdout: "" });
  });

  it("runs, usage, cancel and delete tell what there is", async () => {
    expect((await cli.run(["runs", "--status", "succeeded"])).stdout).toMatch(
      /^RUN +STATUS[\s\S]*\none +succeeded/,
    );
    expect((await cli.run(["usage", "--group-by", "task"])).stdout).toMatch(/\nreceipt_fields_v1 +\d+/);
    const owned = (id: string) => ["run", "items", "results"].map((verb) => [verb, "one", "--key-id", id]);
    for (const args of owned("local-admin")) expect((await cli.run(args)).status, args[0]).toBe(exit.ok);
    for (const args of owned("client-1")) expect((await cli.run(args)).stderr, args[0]).toMatch(/not_found/);
    expect((await cli.run(["cancel", "one"])).stderr).toMatch(/conflict/);
    expect(await cli.run(["delete", "one", "--yes"])).toMatchObject({
      status: exit.ok,
      stdout: "one is deleted\n",
    });
    expect((await cli.run(["run", "one"])).status).toBe(exit.failed);
  });

  it("a manifest that only the server can judge is refused with every line named, and nothing is begun", async () => {
    cli.file("bad.jsonl", '{"image_key":"someone-else/x.jpg"}\n{"image_ref":"upload_unknown"}\n'.repeat(3));
    const before = model.requests.length;
    const { status, stderr } = await cli.run(["batch", "bad.jsonl", "--run-id", "bad"]);
    expect(status).toBe(exit.failed);
    for (const line of [1, 2, 3, 4, 5, 6]) expect(stderr).toContain(`line ${line}: image_`);
    expect(stderr).not.toContain("--resume");
    expect((await cli.run(["run", "bad"])).status).toBe(exit.failed);
    expect(model.requests.length).toBe(before);
  });
});
