import { expect, test } from "vitest";
import type { Server } from "#cli/server/server";
import type { Context } from "#cli/terminal/context";
import * as Schema from "#core/evaluation/diff/schema";
import type * as Read from "#core/evaluation/read";
import { serve } from "#test/support/scripted-server";
import { compare } from "./compare.ts";
import * as Show from "./show.ts";
import * as Sides from "./sides.ts";

const entry = (eval_id: string, gt_sha256: string | null, rules_version = "r1", minute = 0) => ({
  ...{ eval_id, gt_sha256, gt_image_key: "file", rules_version, str_mode: "strip" },
  created_at: `2026-11-30T10:${String(minute).padStart(2, "0")}:00.000Z`,
});
const chosen = (first: ReturnType<typeof entry>[], second: ReturnType<typeof entry>[]) =>
  Sides.pairOf(first, second).map((side) => side?.eval_id);

test("two runs stand for the newest of their evaluations with the same labels, and among these with the same rules", () => {
  const first = [entry("a3", "new", "r1", 9), entry("a2", "old", "r2", 8), entry("a1", "old", "r1", 7)];
  expect(chosen(first, [entry("b2", "old", "r2", 6), entry("b1", "old", "r1", 5)])).toEqual(["a2", "b2"]);
  expect(chosen(first, [entry("b1", "old", "r1", 5)])).toEqual(["a1", "b1"]);
  expect(chosen(first, [entry("b2", "other", "r1", 6), entry("b1", "new", "r0", 5)])).toEqual(["a3", "b1"]);
  // With another `gt_image_key` the labels belong to other documents.
  const byOther = { ...entry("b2", "old", "r1", 6), gt_image_key: "img" };
  expect(chosen(first, [byOther, entry("b1", "old", "r1", 5)])).toEqual(["a1", "b1"]);
  // Without such a pair, each run stands for its newest evaluation.
  expect(chosen(first, [entry("b2", "x", "r1", 6), entry("b1", "y", "r1", 5)])).toEqual(["a3", "b2"]);
  expect(chosen(first, [])).toEqual(["a3", undefined]);
});

const change: Schema.DiffChange = {
  ...{
    kind: "fixed",
    file: "a very long folder/of scans/receipt 0001 (copy).jpg",
    custom_id: null,
    document: 1,
  },
  ...{ field: "items[].unit_price", path: "items[12].unit_price", expected: "1,234.50 EUR or thereabouts" },
  ...{ in_answer: false, accepted: ["1,234.50 EUR or thereabouts"] },
  ...{ before: null, after: "1,234.50 EUR or thereabouts", before_answered: false, after_answered: true },
};
const side = {
  eval_id: `eval_${"0".repeat(24)}`,
  run_id: "r",
  gt_name: "shop",
  gt_sha256: "ab".repeat(32),
  gt_image_key: "file",
  gt_from_run_id: null,
  rules_version: "r1",
};
const found: Schema.EvaluationDiff = {
  ...{
    first: side,
    second: { ...side, gt_sha256: "cd".repeat(32) },
    compared_by: "canonical",
    differs: ["labels"],
  },
  ...{
    documents: 1,
    only_in_first: 0,
    only_in_second: 2,
    answers: { first_only: 0, second_only: 1, neither: 0 },
  },
  ...{ verdict: "INCONCLUSIVE", alpha: 0.05, fields_tested: 1, least_discordant: 6 },
  label_differences: {
    ...{ first_only: 0, second_only: 3, relabeled: 1 },
    fields: [{ path: "totals.tax", first_only: 0, second_only: 3, relabeled: 1 }],
  },
  fields: [
    {
      ...{ path: "items[].unit_price", documents: 1, regressed_documents: 0, improved_documents: 1 },
      ...{ fixed: 1, broken: 0, changed: 0, still_wrong: 0, p: 1, p_adjusted: 1 },
      ...{ verdict: "INCONCLUSIVE", documents_needed: 3_000 },
    },
  ],
  changes: [change],
};

test("a row of the answer has a plus, all accepted values are shown, and a draft is mentioned", () => {
  const changes = [{ ...change, in_answer: true, accepted: ["1", null] }];
  const first = { ...side, gt_from_run_id: "shop-1" };
  const text = Show.diff({ ...found, first, second: first, differs: [], changes }, 5, { columns: undefined });
  expect(text).toMatch(
    /items\[\+12\]\.unit_price +1 or – .*\n\[\+n\]: in a row of the answer that the paper does not have\n/,
  );
  expect(text.match(/NOT CORRECTED: the labels are a draft of shop-1/g)).toHaveLength(1);
});

test("labels that name their pictures by two members are not the same labels", () => {
  const text = Show.diff({ ...found, second: { ...side, gt_image_key: "img\u001b" } }, 5, {
    columns: undefined,
  });
  expect(text).toContain("NOT THE SAME: the labels name their pictures by file, and by img\\u{1b}");
});

test.each([80, 120, undefined])(
  "on a terminal of %s columns a diff says in words which documents have no answer and which values are labeled on one side only",
  (columns) => {
    const text = Show.diff(found, 5, { columns });
    const flat = text.replaceAll(/\s+/g, " ");
    for (const said of [
      "without an answer (failed, canceled or not read): 1 before and read now, 0 now and read before, 0 in both",
      "NOT THE SAME: the labels are of two versions",
      "Labels differ: 0 values labeled for the first alone, 3 for the second alone, 1 for both with another value (totals.tax 0, 3, 1)",
      "in one of them alone: 0 and 2",
      "corrected for 1 field;",
      "(no answer)",
    ])
      expect(flat).toContain(said);
    if (columns === undefined) return;
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(columns);
    expect(flat).toContain("receipt 0001 (copy).jpg items[12].unit_price");
  },
);

test("two evaluations that are too long for one call are compared on this machine, with the same answer", async () => {
  const verdict = (canonical: "matched" | "wrong", predicted: string) => ({
    ...{ field: "total", path: "total", expected: "1.00", exact: canonical, canonical, predicted },
  });
  const sample = (index: number, verdicts: object[]) =>
    `${JSON.stringify({ index, document: 1, file: `${index}.png`, custom_id: null, answered: true, verdicts })}\n`;
  const [good, bad] = [verdict("matched", "1.00"), verdict("wrong", "7")];
  const samples: Record<string, string> = {
    "/first": sample(0, [good]) + sample(1, [good]),
    "/second": sample(1, [bad]) + sample(0, [good]),
  };
  const details = { reason: "too_long", differs: ["labels"] };
  const error = { code: "conflict", message: "too many", request_id: "r", details };
  const server = await serve([
    { status: 409, body: { error } },
    {
      handle: ({ url = "" }, response) => {
        const isSamples = Object.hasOwn(samples, url);
        response.setHeader("content-type", isSamples ? "application/x-ndjson" : "application/json");
        response.end(samples[url] ?? "{}");
      },
    },
  ]);
  const said: string[] = [];
  const context = { signal: AbortSignal.timeout(20_000), say: (line: string) => said.push(line) };
  const evaluation = (name: string) => ({
    ...{ ...side, eval_id: name, summary: null, fields: [{ path: "total", kind: "money" }] },
    samples: [{ url: `${server.url}/${name}`, expires_at: "" }],
  });
  const pair = [evaluation("first"), evaluation("second")] as unknown as [Read.Shown, Read.Shown];
  try {
    const target = { url: new URL(`${server.url}/`), apiKey: "k" };
    const compared = await compare(
      context as unknown as Context,
      target as unknown as Server,
      pair,
      "canonical",
    );
    expect(Schema.EvaluationDiff.parse(compared)).toMatchObject({
      ...{ documents: 2, differs: ["labels"], first: { eval_id: "first" } },
      changes: [{ kind: "broken", file: "1.png", path: "total", after: "7" }],
    });
    expect(said[0]).toContain("compared on this machine");
    const odd = compare(context as unknown as Context, target as unknown as Server, pair, "canonical");
    await expect(odd, "an answer of another version").rejects.toMatchObject({ code: "odd_answer" });
    expect(server.seen[0]?.path).toBe("/v1/evals/first/diff/second?values=canonical");
    // A signed address is the permission: the key does not go there.
    expect(
      server.seen.some(({ path, headers }) => Object.hasOwn(samples, path) && "authorization" in headers),
    ).toBe(false);
  } finally {
    await server.close();
  }
});
