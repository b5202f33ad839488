/** Two runs compared with and without labels, over HTTP against the whole stack. */
import * as fs from "node:fs";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import type * as Schema from "#core/evaluation/diff/schema";
import { evaluationTable } from "#core/evaluation/evaluation.sql";
import { packageRoot } from "#local/home/home";
import { type Cli, open as openCli } from "#test/support/batch-cli";
import * as Batches from "#test/support/batches/batches";
import * as ModelServer from "#test/support/model-server/model-server";
import { picture } from "#test/support/pictures";
import { silent } from "#test/support/test-bucket";

const papers = 10;
let batches: Batches.Batches;
let keys: string[];
let cli: Cli;
beforeAll(async () => {
  batches = await Batches.open();
  keys = await batches.keys(papers);
  cli = openCli();
});
afterAll(async () => {
  cli?.remove();
  await batches?.close();
});

const json = (path: string, body?: unknown) =>
  batches.loop.call(path, body === undefined ? {} : { json: body }) as Promise<{
    status: number;
    body: Record<string, unknown>;
  }>;
const env = () => ({ OCRLTY_URL: batches.loop.url, OCRLTY_API_KEY: batches.loop.apiKey });
const ocrlty = (...args: string[]) => cli.run(args, { env: env() });

/** The values on each paper. Papers are read one after the other, so that the model knows which one it is. */
const printed = (i: number) => ({ total: `${i}.50`, tax: "1.00" });
async function run(runId: string, totalOf: (i: number) => string, more: Record<string, unknown> = {}) {
  let next = 0;
  batches.model.respond = () => {
    const i = next++ % papers;
    return ModelServer.json({ ...empty, tax: "1.00", total: totalOf(i) });
  };
  await batches.made({ manifest: manifest(keys), run_id: runId, concurrency: 1, ...more });
  await batches.ended(runId);
}
const manifest = (some: readonly string[]) =>
  some.map((image_key) => ({ image_key, file: `in/${image_key.split("/").at(-1)}` }));
const empty = { subtotal: null, service: null, discount: null, cash: null, card: null, change: null };

const evaluationOf = (runId: string, status = "succeeded") =>
  vi.waitFor(
    async () => {
      const { body } = await json(`/v1/runs/${runId}`);
      expect(body.eval).toMatchObject({ status });
      return (body.eval as { eval_id: string }).eval_id;
    },
    { timeout: 20_000, interval: 100 },
  );

describe("of two runs that were evaluated with labels", () => {
  let gtId: string;
  beforeAll(async () => {
    const content = keys.map((key, i) => ({ file: key.split("/").at(-1), ...printed(i) }));
    gtId = String((await json("/v1/ground_truths", { name: "shop", content })).body.gt_id);
    await run("before", (i) => (i === 9 ? "7" : `${i}.50`), { gt_id: gtId });
    // Eight that were right are wrong now, and the wrong one is wrong in another way.
    await run("after", (i) => (i === 9 ? "8" : i < 8 ? "0.01" : `${i}.50`), { gt_id: gtId });
    await evaluationOf("before");
    await evaluationOf("after");
  }, 60_000);

  test("ocrlty diff names the regressed fields, with examples, and exits with 1; in the other order it exits with 0", async () => {
    const { status, stdout, stderr } = await ocrlty("diff", "before", "after", "--worst", "worst.csv");
    expect([status, stderr]).toEqual([
      1,
      expect.stringContaining("comparing 10 documents of before and after"),
    ]);
    // 2/2^8 for one of two fields.
    expect(stdout).toMatch(/^total +8 +0 +0\.0078 +0\.0156 +regressed$/m);
    expect(stdout).toMatch(/^tax +0 +0 +1 +1 +no_change$/m);
    expect(stdout).toMatch(/^total +8 +0 +1 +0$/m);
    expect(stdout).toContain("broken (right before, wrong now): 8, 5 of them\n");
    expect(stdout).toMatch(/^in\/0\.jpg +total +0\.50 +0\.50 +0\.01$/m);
    expect(stdout).toMatch(/^in\/9\.jpg +total +9\.50 +7 +8$/m);
    expect(stdout).toMatch(/^verdict: regressed$/m);
    const [, first, ...others] = parse(cli.read("worst.csv")) as string[][];
    expect(first?.slice(0, 5)).toEqual(["1", "0", "0", "0", "in/0.jpg"]);
    expect(first?.[8]).toMatch(/^extracts\/[\d-]+\/local-admin\/after~0\.json$/);
    expect([others.length, others.at(-1)?.[2]]).toEqual([8, "1"]);

    const back = await ocrlty("diff", "after", "before", "--json");
    expect(back.status).toBe(0);
    expect(JSON.parse(back.stdout) as Schema.EvaluationDiff).toMatchObject({
      ...{ verdict: "improved", documents: papers, only_in_first: 0, differs: [] },
      ...{ first: { run_id: "after" }, second: { run_id: "before" } },
    });
  });

  test("for a difference that may be chance the output says how many receipts are needed, and lines fit 80 columns", async () => {
    await run("slightly", (i) => (i === 9 ? "7" : i === 0 ? "0.01" : `${i}.50`), { gt_id: gtId });
    await evaluationOf("slightly");
    const { status, stdout } = await ocrlty("diff", "before", "slightly");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^total +1 +0 +1 +1 +INCONCLUSIVE +\d+$/m);
    expect(stdout.replaceAll("\n", " ")).toContain("at least 7 documents must change sides");
    expect(stdout).toContain("still wrong (wrong in both, the same): 1\n");
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("other labels and other rules are reported with every verdict", async () => {
    const { eval_id } = (await json(`/v1/runs/before`)).body.eval as { eval_id: string };
    const rulesOf = (rulesVersion: string) =>
      batches.db.query
        .update(evaluationTable)
        .set({ rulesVersion })
        .where(eq(evaluationTable.evalId, eval_id));
    const [row] = await batches.db.query
      .select()
      .from(evaluationTable)
      .where(eq(evaluationTable.evalId, eval_id));
    expect(row?.rulesVersion).toMatch(/^[0-9a-f]{12}-[0-9a-f]{12}$/);
    await rulesOf("of-before");
    const { stdout } = await ocrlty("diff", "before", "after");
    await rulesOf(row?.rulesVersion ?? "");
    expect(stdout).toContain(
      `NOT THE SAME: rules for values: of-before, ${row?.rulesVersion}\nA verdict may speak of that`,
    );
  });

  test("evaluations without figures, or of another task, are refused with the reason", async () => {
    const [before] = [await evaluationOf("before")];
    // Labels that are replaced during the run make its evaluation fail.
    const labels = (total: string) => ({
      ...{ body: JSON.stringify([{ file: "0.jpg", total }]), contentType: "application/json" },
    });
    await Bucket.replace(batches.bucket, silent, "data/shared/labels.json", labels("1"));
    let go = () => {};
    const held = new Promise<void>((done) => {
      go = done;
    });
    batches.model.respond = () => held.then(() => ModelServer.json({ ...empty, tax: null, total: "1" }));
    await batches.made({
      manifest: manifest(keys.slice(0, 1)),
      run_id: "replaced",
      gt_path: "shared/labels.json",
    });
    await Bucket.replace(batches.bucket, silent, "data/shared/labels.json", labels("2"));
    go();
    await batches.ended("replaced");
    const failed = await evaluationOf("replaced", "failed");
    await run("other", () => "1", { gt_id: gtId, task_id: "receipt_fields_v2" });
    const other = await evaluationOf("other");

    const [row] = await batches.db.query
      .select()
      .from(evaluationTable)
      .where(eq(evaluationTable.evalId, failed));
    if (row === undefined) throw new Error("there is no failed evaluation");
    const running = `eval_${"r".repeat(24)}`;
    const leaseUntil = new Date(Date.now() + 600_000);
    await batches.db.query
      .insert(evaluationTable)
      .values({ ...row, evalId: running, state: "running", leaseUntil });

    for (const [id, reason] of [
      [failed, "eval_failed"],
      [running, "eval_not_ended"],
      [other, "other_task"],
    ] as const) {
      const refused = { status: 409, body: { error: { code: "conflict", details: { reason } } } };
      expect(await json(`/v1/evals/${before}/diff/${id}`), reason).toMatchObject(refused);
      if (reason !== "other_task") expect(await json(`/v1/evals/${id}/report`)).toMatchObject(refused);
    }
    const cross = await ocrlty("diff", "before", "other");
    expect([cross.status, cross.stderr]).toEqual([2, expect.stringContaining("of one task")]);
    const gone = await ocrlty("diff", "before", failed);
    expect([gone.status, gone.stderr]).toEqual([2, expect.stringContaining("error: ")]);
  }, 60_000);
});

describe("ocrlty batch --gt", () => {
  test("stores the labels, waits for the figures, prints them and exits with 1 below a bar", async () => {
    let next = 0;
    batches.model.respond = () =>
      ModelServer.json({ ...empty, tax: null, total: next++ % 2 === 0 ? "1.00" : "2" });
    cli.file(
      "two.jsonl",
      keys
        .slice(0, 2)
        .map((image_key, i) => JSON.stringify({ image_key, file: `${i}.jpg` }))
        .join("\n"),
    );
    cli.file("labels.jsonl", '{"file":"0.jpg","total":"1.00"}\n{"file":"1.jpg","total":"3.00"}\n');
    const args = ["batch", "two.jsonl", "--concurrency", "1", "--gt", "labels.jsonl"];
    const { status, stdout, stderr } = await ocrlty(...args, "--run-id", "told", "--fail-under", "total=0.9");
    expect([status, stderr]).toEqual([
      1,
      expect.stringContaining("MISSED: total accuracy 50.0 % of 2 values, at least 90.0 %"),
    ]);
    expect(stdout).toMatch(/^total +50\.0 % /m);
    expect(stdout).toContain("documents right: 1 of 2");
    expect(stderr).toMatch(/^labels: labels\.jsonl is stored, gt_\S{24}$/m);
    const resumed = await ocrlty("batch", "--resume", "told", "--json");
    expect(resumed.status).toBe(0);
    expect(JSON.parse(resumed.stdout.trim().split("\n").at(-1) ?? "")).toMatchObject({
      gt_name: "labels.jsonl",
    });

    // Labels named by their id, which is the same for equal labels, and by a file under the data root.
    const { items } = (await json("/v1/ground_truths?name=labels.jsonl")).body as {
      items: { gt_id: string }[];
    };
    expect(items).toHaveLength(1);
    const body = cli.read("labels.jsonl");
    await Bucket.replace(batches.bucket, silent, "data/shared/labels.jsonl", {
      body,
      contentType: "application/json",
    });
    for (const labels of [items[0]?.gt_id ?? "", "shared/labels.jsonl"]) {
      const again = await ocrlty(...args.slice(0, -1), labels, "--fail-under", "documents=0.5");
      expect([again.status, again.stderr], labels).toEqual([
        0,
        expect.stringContaining("reached: documents"),
      ]);
    }
  }, 60_000);

  test("changed labels in a file are stored as a new version of its name, and the output says so", async () => {
    await run("versions", () => "1.00");
    cli.file("v.jsonl", '{"file":"0.jpg","total":"1.00"}\n{"file":"1.jpg","total":"3.00"}\n');
    const first = await ocrlty("eval", "versions", "--gt", "v.jsonl");
    const before = /labels: v\.jsonl is stored, (gt_\S{24})\n/.exec(first.stderr)?.[1];
    expect(before, first.stderr).toBeDefined();
    cli.file("v.jsonl", '{"file":"0.jpg","total":"1.00"}\n{"file":"1.jpg","total":"2.00"}\n{"total":"1"}\n');
    for (const word of ["stored as a new version", "stored already"]) {
      const newer = await ocrlty("eval", "versions", "--gt", "v.jsonl");
      expect([newer.status, newer.stderr]).toEqual([
        0,
        expect.stringContaining(`labels: v.jsonl is ${word}, gt_`),
      ]);
      expect(newer.stderr).toContain("1 record does not name a picture, so it is not used (unnamed)\n");
      if (word !== "stored already")
        expect(newer.stderr).toContain(`since ${before}: 1 added, 0 removed, 1 changed, 1 the same\n`);
    }
  }, 60_000);

  test("the commands of docs/evaluation.md measure two runs and compare them", async () => {
    batches.model.respond = () => ModelServer.json({ ...empty, tax: null, total: "1.00" });
    for (const [i, name] of ["a.png", "b.png"].entries())
      cli.file(`scans/${name}`, await picture(i + 50, "png"));
    cli.file("labels.jsonl", '{"file":"a.png","total":"1.00"}\n{"file":"b.png","total":"2.00"}\n');
    const page = fs.readFileSync(join(packageRoot, "docs", "evaluation.md"), "utf8").replaceAll("\r\n", "\n");
    const block = /## In three commands\n[\s\S]*?```bash\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
    const lines = block.trim().split("\n");
    expect(lines.map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual([
      ...["npx ocrlty gt", "npx ocrlty batch", "npx ocrlty batch", "npx ocrlty diff"],
    ]);
    let last = "";
    for (const line of lines) {
      const { status, stdout, stderr } = await ocrlty(...line.split(" ").slice(2));
      expect([status, stderr], line).toEqual([0, expect.not.stringContaining("error:")]);
      last = stdout;
    }
    expect(last).toMatch(/^2 documents in both\n/m);
    expect(last).toMatch(/^verdict: no_change$/m);
  }, 60_000);

  test("labels of other pictures give exit status 1 with the names, not a success without figures", async () => {
    cli.file("strange.jsonl", '{"file":"nowhere.png","total":"1.00"}\n');
    const args = ["batch", "scans", "--gt", "strange.jsonl", "--run-id", "strange"];
    const told = await ocrlty(...args);
    const nothing = "error: nothing was measured: of 1 record none labels one of the 2 items of strange\n";
    expect([told.status, told.stderr]).toEqual([1, expect.stringContaining(nothing)]);
    expect(told.stdout).toContain("no item has its name (no_item): nowhere.png");
    const again = await ocrlty("eval", "strange", "--gt", "strange.jsonl", "--json");
    expect([again.status, again.stderr]).toEqual([1, expect.stringContaining(nothing)]);
    expect(JSON.parse(again.stdout)).toMatchObject({ summary: { documents: 0 } });
  }, 60_000);

  test("the same records with another `gt_image_key` are not the same labels", async () => {
    const content = [
      { file: "a.png", img: "b.png", total: "1.00" },
      { file: "b.png", img: "a.png", total: "2.00" },
    ];
    const { gt_id } = (await json("/v1/ground_truths", { name: "crossed", content })).body;
    const ordered: string[] = [];
    for (const gt_image_key of ["file", "img"]) {
      const order = await json("/v1/evals", { run_id: "strange", gt_id, gt_image_key });
      ordered.push(String(order.body.eval_id));
    }
    const crossed = await ocrlty("diff", ...ordered, "--json");
    expect(JSON.parse(crossed.stdout)).toMatchObject({
      ...{ differs: ["labels"], first: { gt_image_key: "file" }, second: { gt_image_key: "img" } },
      label_differences: { relabeled: 2 },
    });
  }, 60_000);

  test("thresholds without labels, and invalid labels, are refused before anything is sent", async () => {
    const runs = async () => ((await json("/v1/runs?limit=200")).body.items as unknown[]).length;
    const content = [{ file: "a.png", total: "1.00" }];
    await json("/v1/ground_truths", { name: "two-names", content });
    await json("/v1/ground_truths", { name: "two-files", content });
    cli.file("two-files", JSON.stringify(content));
    await Bucket.replace(batches.bucket, silent, "data/shared/wrong.jsonl", {
      body: '{"file":"a.png","total":"1"}\n{"file":"b.png","total":1e999}\n',
      contentType: "application/x-ndjson",
    });
    const uploads = async () =>
      (await Bucket.list(batches.bucket, silent, { prefix: "uploads/" })).objects.map(({ rel }) => rel);
    const before = [await runs(), await uploads()];
    cli.file("bad.jsonl", '{"file":"0.jpg","total":1e999}\n');
    cli.file("labels.csv", "file,total\n0.jpg,1\n");
    for (const [labels, message] of [
      [["--fail-under", "total=1"], "--fail-under needs --gt"],
      [["--gt", "labels.jsonl", "--fail-under", "total=1", "--no-wait"], "--fail-under needs --gt"],
      [["--gt", "labels.jsonl", "--fail-under", "total"], "takes FIELD=SHARE"],
      [["--gt", "nothing-called-so"], "no ground truth with this name"],
      [["--gt", "bad.jsonl"], "error: record 1 (0.jpg), line 1: total: is a number that loses digits"],
      [["--gt", "labels.csv"], "labels.csv is a table: convert it first"],
      [
        ["--gt", "shared/nosuch.jsonl"],
        "shared/nosuch.jsonl is no file here, and as a key under the data root: gt_path: there is nothing with",
      ],
      [
        ["--gt", "shared/wrong.jsonl"],
        "error: record 2 (b.png), line 2: total: is a number that loses digits",
      ],
      [["--gt", "/shared/nosuch.jsonl"], "error: there is no file /shared/nosuch.jsonl\n"],
      [["--gt", "./nosuch.jsonl"], "error: there is no file ./nosuch.jsonl\n"],
      [["--gt", ""], "--gt is empty"],
      [["--gt", "two-files"], "two-files is here, and a ground truth is called so: write ./two-files for"],
      [["--gt", `gt_${"x".repeat(24)}`], "there is no ground truth with this id"],
      [["--gt", "labels.jsonl", "--image-key", "fil"], "did you mean `file`?"],
      [["--gt", "two-names", "--image-key", "fil"], "did you mean `file`?"],
      [["--gt", "labels.jsonl", "--fail-under", "totl=1"], 'there is no field "totl"'],
      [["--gt", "labels.jsonl", "--task", "receipt_v0"], "no such task"],
    ] as const) {
      const { status, stderr } = await ocrlty("batch", "scans", ...labels);
      expect([status, stderr], labels.join(" ")).toEqual([2, expect.stringContaining(message)]);
    }
    expect([await runs(), await uploads()]).toEqual(before);
  });
});

describe("of two runs without labels", () => {
  beforeAll(async () => {
    await run("plain", (i) => `${i}.50`);
    await run("plainer", (i) => (i === 0 ? "0,50" : i === 1 ? "2.00" : `${i}.50`));
  }, 60_000);

  test("the output shows how far they agree, which is no verdict, and the exit status is 0", async () => {
    const { status, stdout, stderr } = await ocrlty("diff", "plain", "plainer");
    expect([status, stderr]).toEqual([0, expect.not.stringContaining("error")]);
    expect(stdout).toMatch(/^total +90\.0 % +80\.0 % +10 +0$/m);
    expect(stdout).toContain("not which of them is right");
    const found = await ocrlty("diff", "plain", "plainer", "--json");
    expect(JSON.parse(found.stdout)).toMatchObject({ verdict: null, documents: papers, not_compared: 0 });
  });

  test("labels for only one run, and an unknown run, are refused", async () => {
    const one = await ocrlty("diff", "before", "plain");
    expect([one.status, one.stderr]).toEqual([
      2,
      expect.stringMatching(/plain has no evaluation, before has one: .*eval plain --gt gt_/),
    ]);
    let go = () => {};
    const held = new Promise<void>((done) => {
      go = done;
    });
    batches.model.respond = () => held.then(() => ModelServer.json({ ...empty, tax: null, total: "1" }));
    await batches.made({ manifest: manifest(keys.slice(0, 1)), run_id: "under-way" });
    const early = await ocrlty("diff", "before", "under-way");
    expect([early.status, early.stderr]).toEqual([
      2,
      expect.stringMatching(
        /under-way has not ended \(\w+\), and has no evaluation yet: .*--resume under-way/,
      ),
    ]);
    go();
    await batches.ended("under-way");
    const unknown = await ocrlty("diff", "plain", "nowhere");
    expect([unknown.status, unknown.stderr]).toEqual([2, expect.stringContaining("not_found")]);
    const worst = await ocrlty("diff", "plain", "plainer", "--worst", "w.csv");
    expect([worst.status, worst.stderr]).toEqual([2, expect.stringContaining("--worst needs labels")]);
  });
});
