import * as z from "zod";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import * as Formats from "#core/export/formats";
import * as Dialect from "#core/export/table/dialect";
import * as Table from "#core/export/table/table";
import * as Remove from "#core/run/control/remove";
import * as Cancel from "#core/run/dispatch/cancel";
import * as Files from "#core/run/results/files";
import * as Items from "#core/run/results/items";
import * as Run from "#core/run/run";
import * as Schema from "#core/run/schema";
import * as Serialize from "#core/run/serialize";
import * as DataRoot from "#core/upload/data-root";
import { api } from "#functions/http";
import type { Call } from "#functions/request/call";
import * as Names from "#functions/request/names";
import { operation } from "#functions/request/operation";
import * as Page from "#functions/request/page";
import { services } from "#functions/services";
import { as, SignedUrl, stored } from "#functions/stored-reply";
import { batches, pollAfterS } from "#spec/limits";

const params = z.object({ run_id: Names.runId });
const keyId = Names.keyId("Another key's run; with the scope `admin:all_keys` only.");
const owner = z.strictObject({ key_id: keyId });
const page = {
  limit: Page.limit,
  cursor: Page.cursor,
};

const wanted = (
  call: Call,
  runId: string,
  key: string | undefined,
  action: "read" | "cancel" | "delete" = "read",
) => ({ runId, keyId: key, principal: call.principal, log: call.log, action });

const ResultsFile = z
  .object({ run_id: z.string(), items: z.array(Schema.Item) })
  .meta({ id: "RunResults", description: "`json`: all items in the order of their indexes." });

/** The room for a mapping in the address: the gateway accepts 10 kB of request line and headers. */
const mappingChars = 6_000;

export const operations = {
  "GET /v1/runs": operation({
    summary: "Runs, newest first",
    description:
      "Your runs with their progress. With the scope `admin:all_keys` those of all keys, or of one with `key_id`.",
    query: z.strictObject({
      ...page,
      task_id: z
        .string()
        .max(100)
        .optional()
        .meta({ description: "Only those of this task; an unknown task is 400." }),
      status: z.enum(Schema.runStatuses).optional().meta({ description: "Only those with this status." }),
      key_id: Names.keyId("Only this key's; another's with the scope `admin:all_keys` only."),
    }),
    responses: {
      200: {
        description: "A page of runs",
        schema: z.object({ items: z.array(Schema.Run), next_cursor: z.string().nullable() }),
      },
    },
    run: async ({ query, call }) => ({
      status: 200,
      body: await Run.list(Database.connect(), {
        principal: call.principal,
        log: call.log,
        keyId: query.key_id,
        taskId: query.task_id,
        status: query.status,
        limit: query.limit,
        cursor: query.cursor,
      }),
    }),
  }),

  "GET /v1/runs/{run_id}": operation({
    summary: "A run and its progress",
    description:
      "Its counts, times and tokens, and the calls of its webhook so far. `waiting_for`: `model_server` while that is away or its pod is not ready; `budget` if the pod has used up what it may run or cost today (it goes on after midnight UTC).",
    params,
    query: owner,
    responses: { 200: { description: "The run", schema: Schema.Run } },
    run: async ({ params, query, call }) => ({
      status: 200,
      body: await Run.get(Database.connect(), wanted(call, params.run_id, query.key_id)),
    }),
  }),

  "GET /v1/runs/{run_id}/items": operation({
    summary: "A run's items",
    description:
      "Available while the run is in progress. Results above 16 KiB are not in lists; they are in the artifacts and in the results.",
    params,
    query: z.strictObject({
      ...page,
      status: z.enum(Schema.itemStatuses).optional().meta({ description: "Only those with this status." }),
      key_id: keyId,
    }),
    responses: {
      200: {
        description: "A page of items by index",
        schema: z.object({ items: z.array(Schema.Item), next_cursor: z.string().nullable() }),
      },
    },
    run: async ({ params, query, call }) => ({
      status: 200,
      body: await Items.page(Database.connect(), wanted(call, params.run_id, query.key_id), {
        status: query.status,
        limit: query.limit,
        cursor: query.cursor,
      }),
    }),
  }),

  "GET /v1/runs/{run_id}/results": operation({
    summary: "The results of an ended run as a file",
    description: `Up to 4 MB directly, more as a redirect to a signed URL; with \`as=url\` always \`{url, expires_at}\`. \`csv\` has one row an item with the task's columns, \`line_items_csv\` one row a line item, each printed value with its meaning (\`total\`, \`total_value\`, \`total_currency\`); cells that a spreadsheet would run as a formula are escaped. \`xlsx\` is a workbook with both tables, for runs of up to ${batches.exportedItems} items. \`datev\`, \`xero\`, \`quickbooks\` and \`beancount\` are files for accounting programs, made with your \`mapping\` for as many items; \`X-Left-Out\` says how many items are not in the file, \`X-Notes\` how many texts had to be changed. \`values\`, \`dialect\` and \`bom\` are for tables of up to 4 MB. Above these limits the answer is 409 with the command that makes the same file at any size.`,
    params,
    query: z.strictObject({
      format: z
        .enum([...Files.formats, ...Formats.names])
        .default("json")
        .meta({ description: "What kind of file." }),
      values: z.enum(Table.values).default("both").meta({
        description:
          "For tables and workbooks. `printed`: values as they are on the paper; `canonical`: normalized values, and texts unchanged; `both`",
      }),
      dialect: z
        .enum(Dialect.names)
        .default("comma")
        .meta({ description: "What separates the cells of a table" }),
      bom: z.enum(["0", "1"]).default("0").meta({
        description: "1: the table begins with a byte order mark, from which Excel knows that it is UTF-8",
      }),
      mapping: z
        .string()
        .min(1)
        .max(mappingChars)
        .optional()
        .meta({
          anyOf: [
            { pattern: DataRoot.keyPattern, maxLength: DataRoot.maxBytes },
            {
              contentMediaType: "application/json",
              contentSchema: {
                anyOf: ["Datev", "Xero", "Quickbooks", "Beancount"].map((name) => ({
                  $ref: `#/components/schemas/${name}Mapping`,
                })),
              },
            },
          ],
          description:
            "Required for ledger files: your mapping. A short one as JSON, any other as the key of a file below the data root, `<your key_id>/ledger.json` (`POST /v1/uploads` with `kind: data`).",
        }),
      partial: z.enum(["0", "1"]).default("0").meta({
        description:
          "For ledger files: 1 leaves out the items that cannot be booked; 0 answers 409 with a list of them if there are any",
      }),
      as,
      key_id: keyId,
    }),
    responses: {
      200: {
        description: "The file; with `as=url` `{url, expires_at}` as JSON",
        schema: z.union([ResultsFile, SignedUrl]),
        others: {
          "application/x-ndjson": z.string().meta({ description: "`jsonl`: a `RunItem` a line." }),
          "text/csv": z.string().meta({
            description:
              "`csv` and `line_items_csv`: a header and a row a line; `datev` (Windows-1252), `xero` and `quickbooks`: a table for their import.",
          }),
          "text/plain": z.string().meta({ description: "`beancount`: transactions." }),
          [Formats.made.xlsx.contentType]: z
            .string()
            .meta({ format: "binary", description: "`xlsx`: the sheets `documents` and `line_items`." }),
        },
      },
      303: { description: "The file is at `Location`" },
    },
    errors: ["conflict"],
    run: async ({ params, query, call }) => {
      const stores = services(Bucket.connect());
      const { row } = await Run.find(stores.db, wanted(call, params.run_id, query.key_id));
      const Results = await import("#core/run/results/results");
      const { bucket } = stores;
      const mapping = await Results.mappingOf(bucket, call.log, query, call.principal);
      const { fileName, contentType, content, told } = await Results.of(stores, call.log, row, {
        ...{ format: query.format, values: query.values, asUrl: query.as === "url" },
        ...{ mapping, partial: query.partial === "1" },
        dialect: { name: query.dialect, byteOrderMark: query.bom === "1" },
        deadline: call.deadline,
      });
      const counts: Record<string, string> =
        told === undefined ? {} : { "X-Left-Out": String(told.leftOut), "X-Notes": String(told.notes) };
      if (content.kind === "stored") {
        const reply = await stored(bucket, { rel: content.rel, fileName, as: query.as });
        return { ...reply, headers: { ...reply.headers, ...counts } };
      }
      const headers = { "Content-Disposition": `attachment; filename="${fileName}"`, ...counts };
      return { status: 200, body: content.body, contentType, headers };
    },
  }),

  "POST /v1/runs/{run_id}/cancel": operation({
    summary: "Cancel a run",
    description: "Items that have not begun become `canceled`; items in flight end normally.",
    params,
    query: owner,
    responses: { 202: { description: "The run", schema: Schema.Run } },
    errors: ["conflict"],
    run: async ({ params, query, call }) => {
      const stores = services(Bucket.connect());
      const { row, running } = await Run.find(stores.db, wanted(call, params.run_id, query.key_id, "cancel"));
      const now = await Cancel.cancel(stores, row, call.log);
      const body = Serialize.run(now, running, call.principal.keyId);
      return { status: 202, body, headers: { Location: body.poll_url, "Retry-After": String(pollAfterS) } };
    },
  }),

  "DELETE /v1/runs/{run_id}": operation({
    summary: "Delete a run and everything that belongs to it",
    description:
      "Artifacts, results, kept pictures and rows. A run of more than 1,000 items is deleted step by step: 202, then 404. Its id stays in use.",
    params,
    query: owner,
    responses: {
      200: {
        description: "What was deleted",
        schema: z.object({
          deleted: z.object({ extracts: z.int(), inputs: z.int(), evals: z.int(), runs: z.int() }),
        }),
      },
      202: {
        description: "It is being deleted",
        schema: z.object({ run_id: z.string(), status: z.literal("deleting") }),
      },
    },
    errors: ["conflict"],
    run: async ({ params, query, call }) => {
      const stores = services(Bucket.connect());
      const { row } = await Run.find(stores.db, wanted(call, params.run_id, query.key_id, "delete"));
      const outcome = await Remove.begin(stores, call.log, row, call.deadline);
      return outcome.kind === "deleted"
        ? { status: 200, body: { deleted: outcome.deleted } }
        : { status: 202, body: { run_id: row.runId, status: "deleting" } };
    },
  }),
};

export const handler = api(operations);
