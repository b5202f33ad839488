import * as z from "zod";
import * as Config from "#core/config";
import { usageCosts } from "#core/cost/usage-costs";
import * as Database from "#core/db/database";
import * as Usage from "#core/usage/usage";
import { api } from "#functions/http";
import * as Names from "#functions/request/names";
import { operation } from "#functions/request/operation";

const day = z.iso.date("must be a day such as 2026-11-23");

export const operations = {
  "GET /v1/usage": operation({
    summary: "Usage of the model",
    description:
      "Sums by day (UTC), key or task from `from` to `to`, both included: the last 30 days by default, at most 400. A key sees its own usage; with the scope `admin:all_keys` that of all keys, or of one with `key_id`.\n\n`items` are accepted pictures; those of a run all count when the run is accepted. `pages`, tokens, model calls and model seconds count when an attempt ends, with any outcome. `cost` is the part of what the managed pod's sessions cost that these model seconds are of all (docs/operate/cost.md); without a managed pod it is the model seconds at the operator's price of a GPU hour, where calls that ran at the same time each count in full: an upper bound. It is null if no price is known. `stored` is what the bucket holds.",
    query: z.strictObject({
      from: day.optional().meta({ description: "First day; 29 days before `to` by default" }),
      to: day.optional().meta({ description: "Last day; today by default" }),
      group_by: z
        .enum(["day", "key", "task"])
        .default("day")
        .meta({ description: "What the sums are grouped by." }),
      key_id: Names.keyId("Another key's usage; with the scope `admin:all_keys` only."),
    }),
    responses: { 200: { description: "The sums", schema: Usage.Report } },
    errors: ["not_found"],
    run: async ({ query: { from, to, group_by, key_id }, call }) => {
      const db = Database.connect();
      const span = { ...Usage.period({ from, to }, new Date()), groupBy: group_by };
      const body = await Usage.list(db, call.principal, {
        ...span,
        keyId: key_id,
        log: call.log,
        costsOf: usageCosts(db, span),
        ...Config.usage(),
      });
      return { status: 200, body };
    },
  }),
};

export const handler = api(operations);
