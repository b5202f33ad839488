/** Two runs laid side by side, by labels and without them, over HTTP against the whole stack. */
import { parse } from "csv-parse/sync";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import type * as Schema from "#core/evaluation/diff/schema";
import { evaluationTable } from "#core/evaluation/evaluation.sql";
import { type Cli, open as openCli } from "#test/support/batch-cli";
import * as Batches from "#test/support/batches/batches";
import * as ModelServer from "#test/support/model-server/model-server";
import { silent } from "#test/support/test-bucket";

const papers = 10;
let batches: Batches.Batches;
let keys: string[];
let cli: Cli;
beforeAll(async () => {
  batches = await Batches.open({ httpInstances: 4 });
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

/** What each paper says; papers are read one after the other, so that the model knows which one it is. */
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

describe("of two runs that were held to labels", () => {
  let gtId: string;
  beforeAll(async () => {
    const content = keys.map((key, i) => ({ file: key.split("/").at(-1), ...printed(i) }));
    gtId = String((await json("/v1/ground_truths", { name: "shop", content })).body.gt_id);
    await run("before", (i) => (i === 9 ? "7" : `${i}.50`), { gt_id: gtId });
    // Eight that were right are wrong, and the one that was wrong is wrong in another way.
    await run("after", (i) => (i === 9 ? "8" : i < 8 ? "0.01" : `${i}.50`), { gt_id: gtId });
    await evaluationOf("before");
    await evaluationOf("after");
  }, 60_000);

  test("ocrlty diff names what regressed, with examples, and ends 1; the other way round it ends 0", async () => {
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
    expect(first?.[7]).toMatch(/^extracts\/[\d-]+\/local-admin\/after~0\.json$/);
    expect([others.length, others.at(-1)?.[2]]).toEqual([8, "1"]);

    const back = await ocrlty("diff", "after", "before", "--json");
    expect(back.status).toBe(0);
    expect(JSON.parse(back.stdout) as Schema.EvaluationDiff).toMatchObject({
      ...{ verdict: "improved", documents: papers, only_in_first: 0, differs: [] },
      ...{ first: { run_id: "after" }, second: { run_id: "before" } },
    });
  });

  test("a difference that may be chance says how much is needed, and lines fit 80 columns", async () => {
    await run("slightly", (i) => (i === 9 ? "7" : i === 0 ? "0.01" : `${i}.50`), { gt_id: gtId });
    await evaluationOf("slightly");
    const { status, stdout } = await ocrlty("diff", "before", "slightly");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^total +1 +0 +1 +1 +INCONCLUSIVE +\d+$/m);
    expect(stdout.replaceAll("\n", " ")).toContain("at least 7 documents must change sides");
    expect(stdout).toContain("still wrong (wrong in both, the same): 1\n");
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("other labels and other rules are said, and with them no verdict stands alone", async () => {
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

  test("what has no figures, and figures of another task, are refused by name", async () => {
    const [before] = [await evaluationOf("before")];
    // Labels that are replaced while the run is going: its evaluation fails.
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

describe("of two runs without labels", () => {
  beforeAll(async () => {
    await run("plain", (i) => `${i}.50`);
    await run("plainer", (i) => (i === 0 ? "0,50" : i === 1 ? "2.00" : `${i}.50`));
  }, 60_000);

  test("how far they agree, which is no verdict, and ends 0", async () => {
    const { status, stdout } = await ocrlty("diff", "plain", "plainer");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^total +90\.0 % +80\.0 % +10 +0$/m);
    expect(stdout).toContain("not which of them is right");
    const found = await ocrlty("diff", "plain", "plainer", "--json");
    expect(JSON.parse(found.stdout)).toMatchObject({ verdict: null, documents: papers, not_compared: 0 });
  });

  test("labels of one run alone are no diff, and neither is a run that is not there", async () => {
    const one = await ocrlty("diff", "before", "plain");
    expect([one.status, one.stderr]).toEqual([
      2,
      expect.stringMatching(/plain has no evaluation, before has one: .*eval plain --gt gt_/),
    ]);
    const unknown = await ocrlty("diff", "plain", "nowhere");
    expect([unknown.status, unknown.stderr]).toEqual([2, expect.stringContaining("not_found")]);
    const worst = await ocrlty("diff", "plain", "plainer", "--worst", "w.csv");
    expect([worst.status, worst.stderr]).toEqual([2, expect.stringContaining("--worst needs labels")]);
  });
});
