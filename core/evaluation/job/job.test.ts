import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as Bucket from "#core/bucket/bucket";
import * as Create from "#core/ground-truth/create";
import * as GroundTruthRead from "#core/ground-truth/read";
import type { Principal } from "#core/key/key";
import * as ControlRemove from "#core/run/control/remove";
import * as Finish from "#core/run/results/finish";
import type { RunRow } from "#core/run/run.sql";
import { noLimits } from "#spec/key-limits";
import * as EndedRun from "#test/support/ended-run";
import { silent } from "#test/support/test-bucket";
import * as Evaluations from "../diff/evaluations.ts";
import { evaluationTable, type Row } from "../evaluation.sql.ts";
import * as Evaluation from "../evaluation.ts";
import * as Place from "../place.ts";
import * as EvaluationRead from "../read.ts";
import * as Remove from "../remove.ts";
import type * as Wire from "../wire.ts";
import * as Job from "./job.ts";
import { reconcile } from "./reconcile.ts";

let stores: EndedRun.Stores;
let services: Job.Services;
beforeAll(async () => {
  stores = await EndedRun.start();
  services = { ...stores.services, gpuCostPerHour: 3.6 };
});
afterAll(() => stores.close());

const principal = {
  ...{ keyId: "alice", role: "client", limits: noLimits },
  scopes: ["extract:run", "debug:run"],
} satisfies Principal;

async function labels(name: string, records: unknown): Promise<string> {
  const given = { name, imageKey: "file", records: GroundTruthRead.ofValue(records) };
  const { created } = await Create.create(stores.services, silent, given, {
    principal,
    idempotencyKey: undefined,
  });
  return created.gt_id;
}

/** A run of receipts that has ended and has its results; measured by these labels. */
async function ended(runId: string, gtId: string | undefined, results: (object | null)[]): Promise<RunRow> {
  const items = await Promise.all(
    results.map((result, index) =>
      result === null
        ? { status: "failed" as const, customId: `c-${index}`, file: `f ${index}.png`, result: null }
        : stores.succeeded({ runId }, index, result),
    ),
  );
  const evaluateBy = gtId === undefined ? null : { gt_id: gtId, image_key: "file" };
  const run = await stores.insert(
    { runId, taskId: "receipt_fields_v1", evaluateBy, modelMs: 2_000 },
    items.map((item, i) => ({
      ...item,
      totalMs: 100 * (i + 1),
      tags: i % 2 === 0 ? { store: "even" } : null,
    })),
  );
  expect(await Finish.step(stores.services, run, { deadline: Date.now() + 20_000 }, silent)).toBe("done");
  return stores.reload(run);
}

const context = (more: Partial<Parameters<typeof Job.step>[2]> = {}) => ({
  ...{ deadline: Date.now() + 20_000, leaseUntil: new Date(Date.now() + 25_000), log: silent },
  ...more,
});
const message = (evalId: string): Evaluation.Message => ({ kind: "evaluation", eval_id: evalId });
const rowOf = async (evalId: string) => {
  const rows = await stores.db.query.select().from(evaluationTable).where(eq(evaluationTable.evalId, evalId));
  return rows[0];
};
async function shownOf(evalId: string): Promise<EvaluationRead.Shown> {
  const row = await rowOf(evalId);
  if (row === undefined) throw new Error("there is no such evaluation");
  return EvaluationRead.shown(stores.store.bucket, silent, row);
}
async function samplesOf({ samples_ref }: Pick<Wire.Evaluation, "samples_ref">): Promise<Wire.Sample[]> {
  const texts = await Promise.all(samples_ref.map((rel) => stores.text(rel)));
  const lines = texts.flatMap((text) => (text ?? "").trim().split("\n"));
  return lines.map((line) => JSON.parse(line) as Wire.Sample);
}

const empty = {
  subtotal: null,
  tax: null,
  service: null,
  discount: null,
  cash: null,
  card: null,
  change: null,
};

/** The figures of the run "measured", counted by hand. */
function expectFields({ fields }: EvaluationRead.Shown): void {
  // total: matched 3 of 4 labeled, one failed item misses it. tax: labeled absent once, and absent. cash: wrong.
  const field = (path: string) => fields.find((each) => each.path === path);
  expect(field("total")).toMatchObject({ matched: 3, wrong: 0, missing: 1, scored: 4, accuracy: 0.75 });
  expect(field("total")).toMatchObject({ precision: 1, recall: 0.75, exact: { matched: 2, wrong: 1 } });
  expect(field("tax")).toMatchObject({ absent_both: 1, scored: 1, accuracy: 1, precision: null });
  expect(field("cash")).toMatchObject({ wrong: 1, scored: 1, accuracy: 0 });
  expect(field("card")).toMatchObject({ scored: 0, accuracy: null });
}

function expectUnmatched(evaluation: EvaluationRead.Shown): void {
  expect(evaluation.unmatched).toEqual({
    items: { count: 1, first: [{ index: 4, file: "f 4.png", reason: "no_record" }] },
    records: {
      count: 2,
      first: expect.arrayContaining([
        { index: 4, image: "nowhere.png", reason: "no_item" },
        { index: 5, image: null, reason: "unnamed" },
      ]),
    },
    documents: { count: 0, first: [] },
    unknown_fields: ["tip"],
  });
}

async function expectSamples(evaluation: EvaluationRead.Shown): Promise<void> {
  const samples = await samplesOf(evaluation);
  expect(samples.map(({ index, right, answered }) => [index, right, answered])).toEqual([
    ...[
      [0, true, true],
      [1, true, true],
      [2, false, true],
      [3, false, false],
    ],
  ]);
  expect(samples[2]?.verdicts).toContainEqual(
    expect.objectContaining({ path: "cash", canonical: "wrong", expected: "10.00", predicted: "20.00" }),
  );
}

describe("a run that names labels is measured when it ends", () => {
  test("once, over all items with a record; items without one are listed, and failed items miss their values", async () => {
    const gtId = await labels("shop", [
      { file: "f 0.png", total: "12.00", tax: null },
      // The value in another notation: right by its meaning, wrong as printed.
      { file: "folder/f 1.png", total: "1,234.50" },
      { file: "f 2.png", total: { any: ["7.00", "7,00"] }, cash: "10.00", tip: "1" },
      { file: "f 3.png", total: "5.00" },
      { file: "nowhere.png", total: "1.00" },
      { total: "2.00" },
    ]);
    const run = await ended("measured", gtId, [
      { total: "12.00", ...empty },
      { total: "1234.50", ...empty },
      { total: "7.00", ...empty, cash: "20.00" },
      null,
      { total: "9.00", ...empty },
    ]);
    const evalId = Evaluation.ownId(run);
    expect(await rowOf(evalId)).toMatchObject({ state: "running", gtName: "shop", runId: "measured" });
    await Job.step(services, message(evalId), context());
    const evaluation = await shownOf(evalId);
    expectFields(evaluation);
    // matched 3 + absent 1 of 6 scored.
    expect(evaluation.summary?.canonical.micro.accuracy).toBeCloseTo(4 / 6, 12);
    expect(evaluation.summary).toMatchObject({ documents: 4, answered: 3 });
    expect(evaluation.summary?.canonical.documents_right).toBe(2);
    expectUnmatched(evaluation);
    // Of five items 0, 2 and 4 have the tag, and 4 has no labels. Right are 0 in whole, and of 2 one of its two values.
    expect(evaluation.slices.filter(({ dimension }) => dimension === "tags.store")).toMatchObject([
      { value: "even", documents: 2, documents_right: 1, accuracy: 3 / 4 },
    ]);
    // 2 s of a GPU at 3.60 an hour are 0.002 dollars; the second of four times is 200 ms.
    expect(evaluation.cost).toMatchObject({
      model_seconds: 2,
      cost_usd: 0.002,
      right_documents_per_usd: 1_000,
    });
    expect(evaluation.cost?.latency_ms).toEqual({ p50: 200, p95: 500, p99: 500 });
    await expectSamples(evaluation);
    expect((await stores.rels("evals/")).filter((rel) => rel.includes("carry"))).toEqual([]);

    // The end of the run is processed again: nothing is measured twice.
    await Finish.step(stores.services, run, { deadline: Date.now() + 20_000 }, silent);
    await Job.step(services, message(evalId), context());
    expect(await stores.db.query.select().from(evaluationTable)).toHaveLength(1);
  });

  test("a run without labels has no evaluation; one whose labels are gone has a failed one with the reason", async () => {
    const none = await ended("unmeasured", undefined, [{ total: "1.00", ...empty }]);
    expect(await rowOf(Evaluation.ownId(none))).toBeUndefined();
    const run = await ended("gone", "gt_nowhere", [{ total: "1.00", ...empty }]);
    await Job.step(services, message(Evaluation.ownId(run)), context());
    const evaluation = await shownOf(Evaluation.ownId(run));
    expect(evaluation).toMatchObject({ status: "failed", fields: [], summary: null });
    expect(evaluation.error).toMatchObject({ code: "not_found", details: { reason: "gt_deleted" } });
  });
});

describe("in bounded steps", () => {
  const results = Array.from({ length: 9 }, (_, i) => ({ total: `${i}.00`, ...empty }));
  const records = results.map((_, i) => ({ file: `f ${i}.png`, total: i % 3 === 0 ? "99.00" : `${i}.00` }));

  /** An evaluation without its own ids and times. */
  const figuresOf = async (evalId: string) => {
    const { summary, fields, slices, unmatched, cost } = await shownOf(evalId);
    const samples = await samplesOf(await shownOf(evalId));
    return { summary, fields, slices, unmatched, cost: { ...cost }, samples };
  };

  test("many steps, one of them killed and one with a lost message, give the same result as one step", async () => {
    const gtId = await labels("steps", records);
    const run = await ended("steps", gtId, results);
    await Job.step(services, message(Evaluation.ownId(run)), context());
    const whole = await figuresOf(Evaluation.ownId(run));
    expect(whole.summary?.canonical).toMatchObject({ documents_right: 6 });

    const evalId = Evaluation.newId();
    const wish = {
      labels: { gt_id: gtId, image_key: "file" },
      groundTruth: undefined,
      strMode: "strip",
    } as const;
    await Evaluation.order(services, silent, { evalId, run, wish });
    const short = () =>
      context({ partDocuments: 2, deadline: Date.now(), leaseUntil: new Date(Date.now() + 60_000) });
    await Job.step(services, message(evalId), { ...short(), tellEveryMs: 0 });
    // Within the part, the progress was updated after its first item.
    expect((await rowOf(evalId))?.progress).toMatchObject({ next: 2, seen: 1, total: 9 });
    // Its worker dies after it wrote a part and before it counted it: another worker begins after the counted part.
    const dying = { ...services, db: failingUpdates(services.db) };
    await expect(Job.step(dying, message(evalId), short())).rejects.toMatchObject({
      code: "storage_unavailable",
    });
    expect((await rowOf(evalId))?.progress.next).toBe(2);
    // Held by a worker: another message changes nothing.
    await Job.step(services, message(evalId), short());
    expect((await rowOf(evalId))?.progress.next).toBe(2);
    await stores.db.query
      .update(evaluationTable)
      .set({ leaseUntil: new Date(Date.now() - 3_600_000) })
      .where(eq(evaluationTable.evalId, evalId));
    expect(await reconcile(services, silent)).toBe(1);
    await vi.waitFor(
      async () => {
        await Job.step(services, message(evalId), short());
        expect((await rowOf(evalId))?.progress.next).toBe(9);
      },
      { interval: 0 },
    );
    await Job.step(services, message(evalId), context());
    expect(await figuresOf(evalId)).toEqual(whole);
    expect((await shownOf(evalId)).samples_ref).toHaveLength(5);

    const rows = [await rowOf(Evaluation.ownId(run)), await rowOf(evalId)] as [Row, Row];
    const diff = (deadline: number) =>
      Evaluations.of(stores.store.bucket, silent, rows, { mode: "canonical", deadline });
    expect(await diff(Date.now() + 20_000)).toMatchObject({ documents: 9, verdict: "no_change" });
    // A call that has no time to read both is refused with everything that the caller needs to compare them itself.
    await expect(diff(Date.now())).rejects.toMatchObject({
      ...{ code: "conflict", details: { reason: "too_long", differs: ["labels"] } },
    });
  });

  test("counters that another version of the code stored are ignored, and the evaluation begins again", async () => {
    const gtId = await labels("anew", records);
    const run = await ended("anew", gtId, results);
    const evalId = Evaluation.ownId(run);
    await Job.step(services, message(evalId), context({ partDocuments: 4, deadline: Date.now() }));
    const carry = (await rowOf(evalId))?.progress.carry ?? "";
    const state = JSON.parse((await stores.text(carry)) ?? "");
    await stores.store.put(carry, JSON.stringify({ ...state, version: state.version - 1 }));
    await Job.step(services, message(evalId), context());
    const { summary, samples } = await figuresOf(evalId);
    expect(summary).toMatchObject({ documents: 9, documents_judged: 9, canonical: { documents_right: 6 } });
    expect(samples.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  /** A database that goes away at the third statement of a step: after its part was put. */
  function failingUpdates(db: Job.Services["db"]): Job.Services["db"] {
    let statements = 0;
    const client = new Proxy(db.client, {
      get: (target, name, receiver) => {
        const value = Reflect.get(target, name, receiver);
        if (name !== "batch") return value;
        return async (...args: unknown[]) => {
          const text = JSON.stringify(args[0]);
          statements += /update .{0,3}evaluation/i.test(text) ? 1 : 0;
          if (statements >= 2) throw new TypeError("fetch failed");
          return (value as (...given: unknown[]) => Promise<unknown>).apply(target, args);
        };
      },
    });
    return { ...db, client };
  }
});

describe("what goes", () => {
  test("a deleted evaluation leaves no objects, and a late message has no effect", async () => {
    const gtId = await labels("goes", [{ file: "f 0.png", total: "1.00" }]);
    const run = await ended("goes", gtId, [{ total: "1.00", ...empty }]);
    const evalId = Evaluation.ownId(run);
    await Job.step(services, message(evalId), context());
    const row = await rowOf(evalId);
    if (row === undefined) throw new Error("it was not made");
    expect(await stores.rels(Place.prefix(row))).toHaveLength(2);
    await Remove.remove(services, silent, row);
    expect(await stores.rels(Place.prefix(row))).toEqual([]);
    await Job.step(services, message(evalId), context());
    expect(await rowOf(evalId)).toBeUndefined();
  });

  test("a deleted run takes its evaluations along, and says how many", async () => {
    const gtId = await labels("with", [{ file: "f 0.png", total: "1.00" }]);
    const run = await ended("with", gtId, [{ total: "1.00", ...empty }]);
    await Job.step(services, message(Evaluation.ownId(run)), context());
    const outcome = await ControlRemove.begin(stores.services, silent, run, Date.now() + 20_000);
    expect(outcome).toMatchObject({ kind: "deleted", deleted: { evals: 1, runs: 1 } });
    expect(await rowOf(Evaluation.ownId(run))).toBeUndefined();
  });

  test("an evaluation whose run is gone fails with the reason", async () => {
    const gtId = await labels("lost", [{ file: "f 0.png", total: "1.00" }]);
    const evalId = Evaluation.newId();
    const run = { keyId: "alice", runUid: "nowhere", runId: "lost", taskId: "receipt_fields_v1", total: 1 };
    const wish = {
      labels: { gt_id: gtId, image_key: "file" },
      groundTruth: undefined,
      strMode: "strip",
    } as const;
    await Evaluation.order(services, silent, { evalId, run, wish });
    await Job.step(services, message(evalId), context());
    expect((await shownOf(evalId)).error).toMatchObject({ details: { reason: "run_deleted" } });
    expect(await Bucket.get(stores.store.bucket, silent, `evals/${evalId}`)).toBeUndefined();
  });
});
