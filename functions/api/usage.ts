import * as z from "zod";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import * as Usage from "#core/usage/usage";
import { api } from "#functions/http";
import * as Names from "#functions/request/names";
import { operation } from "#functions/request/operation";

const day = z.iso.date("must be a day such as 2026-11-23");

export const operations = {
  "GET /v1/usage": operation({
    summary: "What was used of the model",
    description:
      "Sums by day (UTC), key or task over `from` to `to`, both included; the last 30 days unless told otherwise, at most 400. A key sees its own usage; with the scope `admin:all_keys` everybody's, or with `key_id` one key's.\n\n`items` are pictures accepted: those of a run when it is accepted, all at once. Tokens, model calls and model seconds count when an attempt ends, whatever came of it. `cost` is the model's seconds at the operator's price of a GPU hour, null where none is set; calls that the model server worked on at the same time each count in full, so it is an upper bound. `stored` is what lies in the bucket.",
    query: z.strictObject({
      from: day.optional().meta({ description: "First day; 29 days before `to` unless given" }),
      to: day.optional().meta({ description: "Last day; today unless given" }),
      group_by: z
        .enum(["day", "key", "task"])
        .default("day")
        .meta({ description: "What is summed up together." }),
      key_id: Names.keyId("Another key's usage; with the scope `admin:all_keys` only."),
    }),
    responses: { 200: { description: "The sums", schema: Usage.Report } },
    errors: ["not_found"],
    run: async ({ query: { from, to, group_by, key_id }, call }) => ({
      status: 200,
      body: await Usage.list(Database.connect(), call.principal, {
        ...Usage.period({ from, to }, new Date()),
        groupBy: group_by,
        keyId: key_id,
        log: call.log,
        ...Config.usage(),
      }),
    }),
  }),
};

export const handler = api(operations);
