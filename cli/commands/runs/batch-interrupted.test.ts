import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exit } from "#cli/terminal/context";
import { pictureOf } from "#test/support/batch-cli";
import { type Rig, start } from "#test/support/batch-rig";

let rig: Rig;
beforeEach(async () => {
  rig = await start();
});
afterEach(() => rig.close());

describe("Ctrl-C", () => {
  /** Sends a signal as soon as `when` is true for the output or the requests. */
  const interruptible = () => new AbortController();

  it("while the run goes on: partial results, the command that resumes, exit status 130; the resume writes all results", async () => {
    rig.pictures("a.jpg", "b.jpg", "c.jpg");
    rig.api.onRun = (run) => {
      run.status = "running";
      for (const item of run.items.slice(1)) item.status = "queued";
    };
    const abort = interruptible();
    rig.api.intercept = ({ method, path }) => {
      if (method === "GET" && path.startsWith("/v1/runs/") && rig.api.runs.size > 0) abort.abort();
      return undefined;
    };
    const { status, stderr } = await rig.batch(["in", "--out", "r.jsonl"], { signal: abort.signal });
    expect(status).toBe(exit.interrupted);
    expect(stderr).toContain("the run goes on at the server");
    expect(stderr).toContain(`npm run ocrlty -- batch --resume ${rig.idOf()}\n`);
    const partial = rig.cli.read("r.jsonl").trim().split("\n");
    expect(partial.map((line) => JSON.parse(line).file)).toEqual(["a.jpg"]);
    expect(rig.states()).toEqual([`${rig.idOf()}.json`]);

    rig.api.intercept = () => undefined;
    const run = rig.api.runs.get(rig.idOf());
    if (run) run.status = "succeeded";
    for (const item of run?.items ?? []) item.status = "succeeded";
    const resumed = await rig.batch(["--resume", rig.idOf()]);
    expect(resumed.status).toBe(exit.ok);
    expect(rig.cli.read("r.jsonl").trim().split("\n")).toHaveLength(3);
    expect(rig.api.uploads.size).toBe(3);
    expect(rig.api.runs.size).toBe(1);
    expect(rig.states()).toEqual([]);
  });

  it("partial results that were edited are not overwritten", async () => {
    rig.pictures("a.jpg");
    rig.api.onRun = (run) => {
      run.status = "running";
    };
    const abort = interruptible();
    rig.api.intercept = ({ method, path }) => {
      if (method === "GET" && path.startsWith("/v1/runs/") && rig.api.runs.size > 0) abort.abort();
      return undefined;
    };
    await rig.batch(["in", "--out", "r.csv"], { signal: abort.signal });
    expect(rig.cli.read("r.csv")).toMatch(/^\ufeffindex,custom_id,file,status/);
    rig.cli.file("r.csv", "my notes");
    expect((await rig.batch(["--resume", rig.idOf()])).stderr).toMatch(/r\.csv exists/);
    expect(rig.cli.read("r.csv")).toBe("my notes");
  });

  it("while pictures are uploaded: no run starts, and the resume uploads only the missing ones", async () => {
    rig.pictures(...Array.from({ length: 30 }, (_, i) => `${i}.jpg`));
    const abort = interruptible();
    rig.api.intercept = ({ method, path }) => {
      // Ten are answered, and the others stay under way. Eight run in parallel, so when the eighteenth is announced,
      // ten answers were noted.
      if (method === "PUT" && Number(path.split("ref-").at(-1)) > 10) return "handled";
      if (rig.calls("POST", /uploads/).length === 18) abort.abort();
      return undefined;
    };
    const { status, stderr } = await rig.batch(["in", "--run-id", "r-1"], { signal: abort.signal });
    expect(status).toBe(exit.interrupted);
    expect(stderr).toContain("nothing has started; 10 of 30 are uploaded");
    expect(rig.api.uploads.size).toBe(10);
    expect(rig.api.runs.size).toBe(0);

    rig.api.intercept = () => undefined;
    const before = rig.calls("POST", /uploads/).length;
    // This id was used before, so it is not a new batch.
    expect((await rig.batch(["in", "--run-id", "r-1"])).stderr).toMatch(/was begun before/);
    expect((await rig.batch(["--resume", "r-1", "--concurrency", "2"])).status).toBe(exit.ok);
    expect(rig.calls("POST", /uploads/).length - before).toBe(20);
    expect(rig.api.runs.get("r-1")?.body).toMatchObject({ concurrency: 2 });
    const lines = rig.api.runs.get("r-1")?.body.manifest as { file: string; image_ref: string }[];
    for (const { file, image_ref } of lines)
      expect(String(rig.api.uploads.get(image_ref))).toBe(pictureOf(file));
  });

  it("a process that dies right after the run was accepted makes no second run when it is resumed", async () => {
    rig.pictures("a.jpg");
    let state = "";
    rig.api.onRun = () => {
      state = rig.cli.read("home/batches/r-1.json");
    };
    await rig.batch(["in", "--run-id", "r-1"]);
    rig.cli.file("home/batches/r-1.json", state);
    expect(JSON.parse(state).sent).toBe(false);
    expect((await rig.batch(["--resume", "r-1"])).status).toBe(exit.ok);
    expect(rig.calls("POST", /batch_extract/)).toHaveLength(1);
    expect(rig.api.uploads.size).toBe(1);
  });

  it("uploads that will soon expire are made again", async () => {
    rig.pictures("a.jpg");
    const refuse = { on: true };
    rig.api.intercept = ({ path }) => (refuse.on && path === "/v1/batch_extract" ? 400 : undefined);
    expect((await rig.batch(["in", "--run-id", "r-1"])).status).toBe(exit.failed);
    const state = JSON.parse(rig.cli.read("home/batches/r-1.json"));
    state.entries[0].uploadedAt = Date.now() - 6.5 * 24 * 3_600_000;
    rig.cli.file("home/batches/r-1.json", JSON.stringify(state));
    refuse.on = false;
    expect((await rig.batch(["--resume", "r-1"])).status).toBe(exit.ok);
    expect(rig.api.uploads.size).toBe(2);
  });

  it("the key of another server is never sent to the one that has the batch", async () => {
    rig.pictures("a.jpg");
    await rig.batch(["in", "--run-id", "r-1", "--no-wait"]);
    const before = rig.api.seen.length;
    const other = { OCRLTY_URL: "https://other.example", OCRLTY_API_KEY: "other-key" };
    const { status, stderr } = await rig.cli.run(["batch", "--resume", "r-1"], { env: other });
    expect({ status, calls: rig.api.seen.length - before }).toEqual({ status: exit.failed, calls: 0 });
    expect(stderr).toContain(`this batch was sent to ${rig.api.url}/`);
    expect((await rig.cli.run(["batch", "--resume", "r-1", "--key", "key-1"], { env: other })).status).toBe(
      exit.ok,
    );
  });
});
