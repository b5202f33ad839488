/** Evaluations: refused calls, and the list of the key's own. `test/evals.test.ts` makes a whole one. */
import * as z from "zod";
import type { Bench, Case } from "./case.ts";

const withoutDebugRun = (bench: Bench) =>
  bench.scopes.includes("debug:run") ? undefined : "the key lacks debug:run";

/** It has the form of an id, but there is none. */
const unknown = `eval_${"0".repeat(24)}`;

export const evals: Case[] = [
  {
    name: "a run that is not there cannot be measured",
    route: "POST /v1/evals",
    skip: withoutDebugRun,
    request: (bench) => ({
      method: "POST",
      path: "/v1/evals",
      body: { run_id: `no-such-run-${bench.run}`, gt_id: "gt_none" },
    }),
    wants: { status: 404, code: "not_found" },
  },
  {
    name: "evaluations, newest first",
    route: "GET /v1/evals",
    skip: withoutDebugRun,
    request: () => ({ path: "/v1/evals?limit=1" }),
    wants: {
      status: 200,
      body: z.looseObject({ items: z.array(z.looseObject({ eval_id: z.string() })).max(1) }),
    },
  },
  {
    name: "an evaluation that is not there",
    route: "GET /v1/evals/{eval_id}",
    skip: withoutDebugRun,
    request: () => ({ path: `/v1/evals/${unknown}` }),
    wants: { status: 404, code: "not_found" },
  },
  {
    name: "the report of an evaluation that is not there",
    route: "GET /v1/evals/{eval_id}/report",
    skip: withoutDebugRun,
    request: () => ({ path: `/v1/evals/${unknown}/report` }),
    wants: { status: 404, code: "not_found" },
  },
  {
    name: "evaluations that are not there have no differences",
    route: "GET /v1/evals/{eval_id}/diff/{other_id}",
    skip: withoutDebugRun,
    request: () => ({ path: `/v1/evals/${unknown}/diff/${unknown}` }),
    wants: { status: 404, code: "not_found" },
  },
  {
    name: "an evaluation that is not there is not deleted",
    route: "DELETE /v1/evals/{eval_id}",
    skip: withoutDebugRun,
    request: () => ({ method: "DELETE", path: `/v1/evals/${unknown}` }),
    wants: { status: 404, code: "not_found" },
  },
];
