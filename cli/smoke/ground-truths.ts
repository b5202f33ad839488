/** Stores, finds and deletes labels, and makes a draft of labels from the earlier run. */
import * as z from "zod";
import type { Bench, Case } from "./case.ts";

const withoutDebugRun = (bench: Bench) =>
  bench.scopes.includes("debug:run") ? undefined : "the key lacks debug:run";
const needs = (what: string) => (bench: Bench) =>
  withoutDebugRun(bench) ?? (bench.kept.has(what) ? undefined : "what comes before it failed");

const name = (bench: Bench) => `smoke-${bench.run}`;
const GroundTruth = z.looseObject({ gt_id: z.string(), sha256: z.string(), records: z.int() });
const kept = (bench: Bench) => GroundTruth.parse(bench.kept.get("ground truth")?.json);
const content = [{ file: "receipt.jpg", fields: { total: "12.00", discount: null } }];

export const groundTruths: Case[] = [
  {
    name: "labels that are wrong are refused with their places",
    route: "POST /v1/ground_truths",
    skip: withoutDebugRun,
    request: (bench) => ({
      method: "POST",
      path: "/v1/ground_truths",
      body: { name: name(bench), content: [{ file: "receipt.jpg", total: { any: [] } }] },
    }),
    wants: { status: 400, code: "invalid_request" },
  },
  {
    name: "keep labels",
    route: "POST /v1/ground_truths",
    skip: withoutDebugRun,
    request: (bench) => ({
      method: "POST",
      path: "/v1/ground_truths",
      body: { name: name(bench), content },
    }),
    wants: { status: 201, body: GroundTruth.extend({ records: z.literal(1) }) },
    keep: (answer, bench) => bench.kept.set("ground truth", answer),
  },
  {
    name: "the same labels are kept once",
    route: "POST /v1/ground_truths",
    skip: needs("ground truth"),
    request: (bench) => ({
      method: "POST",
      path: "/v1/ground_truths",
      body: { name: name(bench), content: { items: content } },
    }),
    wants: {
      status: 200,
      body: GroundTruth,
      also: (answer, bench) =>
        GroundTruth.parse(answer.json).gt_id === kept(bench).gt_id ? undefined : "it has another id",
    },
  },
  {
    name: "a draft needs a run",
    route: "POST /v1/ground_truths/from_run",
    skip: withoutDebugRun,
    request: (bench) => ({
      method: "POST",
      path: "/v1/ground_truths/from_run",
      body: { name: name(bench), run_id: `no-such-run-${bench.run}` },
    }),
    wants: { status: 404, code: "not_found" },
  },
  {
    name: "ground truths of a name",
    route: "GET /v1/ground_truths",
    skip: needs("ground truth"),
    request: (bench) => ({ path: `/v1/ground_truths?name=${name(bench)}` }),
    wants: {
      status: 200,
      body: z.looseObject({ items: z.array(GroundTruth).length(1), next_cursor: z.null() }),
    },
  },
  {
    name: "a ground truth",
    route: "GET /v1/ground_truths/{gt_id}",
    skip: needs("ground truth"),
    request: (bench) => ({ path: `/v1/ground_truths/${kept(bench).gt_id}` }),
    wants: { status: 200, body: GroundTruth.extend({ content_url: z.url() }) },
  },
  {
    name: "delete a ground truth",
    route: "DELETE /v1/ground_truths/{gt_id}",
    skip: needs("ground truth"),
    request: (bench) => ({ method: "DELETE", path: `/v1/ground_truths/${kept(bench).gt_id}` }),
    wants: { status: 200, body: z.looseObject({ deleted: z.looseObject({ ground_truths: z.literal(1) }) }) },
  },
];
