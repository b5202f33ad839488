import { type SQL, sql } from "drizzle-orm";
import * as z from "zod";
import * as Database from "#core/db/database";
import { invalidRequest } from "#core/error";
import type { Principal } from "#core/key/key";
import { visibleKey } from "#core/key/visible";
import type { Log } from "#core/log";
import { dayOf } from "./day.ts";
import * as Storage from "./storage.ts";

/*
 * Usage of keys: counted in the batch that does the work, reported by day, key or task. The limits are in
 * core/usage/allowance.ts.
 */

/** Usage of the model server; all zero if it was not called. */
export interface Used {
  promptTokens: number;
  completionTokens: number;
  modelCalls: number;
  /** Milliseconds spent waiting for answers. */
  modelMs: number;
  /** Bytes of the pictures as received. */
  imageBytes: number;
  /** Pages that were answered. */
  pages: number;
}

/** Adds accepted items to the day's row if the condition holds, such as `changes() = 1` directly after the statement that inserts them. */
export function countItems(
  what: { keyId: string; taskId: string; items: number; now: Date },
  onlyIf: SQL,
): Database.Statement {
  return add(what, { items: what.items }, onlyIf);
}

/**
 * Adds an attempt's usage to the day's row if the condition holds. Directly after the statement that ends the attempt,
 * with `changes() = 1`: a worker whose fencing token is outdated adds nothing.
 */
export function record(
  what: { keyId: string; taskId: string; now: Date } & Used,
  onlyIf: SQL,
): Database.Statement {
  return add(
    what,
    {
      prompt_tokens: what.promptTokens,
      completion_tokens: what.completionTokens,
      model_calls: what.modelCalls,
      model_ms: Math.round(what.modelMs),
      image_bytes: what.imageBytes,
      pages: what.pages,
    },
    onlyIf,
  );
}

/** The model calls of all keys on a UTC day, as a subquery. */
export function callsOfDay(now: Date): SQL {
  return sql`SELECT coalesce(sum(model_calls), 0) FROM "usage" WHERE day = ${dayOf(now)}`;
}

function add(
  { keyId, taskId, now }: { keyId: string; taskId: string; now: Date },
  amounts: Record<string, number>,
  onlyIf: SQL,
): Database.Statement {
  const names = Object.keys(amounts).map((name) => sql.identifier(name));
  const values = Object.values(amounts).map((value) => sql`${value}`);
  const sums = names.map((name) => sql`${name} = "usage".${name} + excluded.${name}`);
  const comma = sql`, `;
  return Database.statement(
    sql`INSERT INTO "usage" (key_id, day, task_id, ${sql.join(names, comma)}) SELECT ${keyId}, ${dayOf(now)}, ${taskId}, ${sql.join(values, comma)} WHERE ${onlyIf} ON CONFLICT (key_id, day, task_id) DO UPDATE SET ${sql.join(sums, comma)}`,
  );
}

const Sums = z.object({
  items: z.int().meta({ description: "Pictures and documents accepted" }),
  pages: z.int().meta({
    description: "Pages that the model read: one of a picture. Days before this was counted have 0.",
  }),
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  model_calls: z.int().meta({ description: "Calls to the model server, repeats within an attempt included" }),
  model_seconds: z.number(),
  image_bytes: z.int(),
  cost: z.number().nullable().meta({
    description:
      "US dollars of the GPU. Where a pod is managed: the part of what its sessions cost, idle time included, that these model seconds are of all. Else model seconds at the price of a GPU hour: an upper bound. Null: no price is known.",
  }),
  cost_provisional: z.boolean().meta({
    description: "True while a session of the pod is open: more work in it makes each receipt cheaper.",
  }),
});
type Sums = z.output<typeof Sums>;

/** `GET /v1/usage`. Each item has the one name that it is grouped by. */
export const Report = z
  .object({
    from: z.string(),
    to: z.string(),
    group_by: z.enum(["day", "key", "task"]),
    items: z.array(
      Sums.extend({
        day: z.string().optional(),
        key_id: z.string().optional(),
        task_id: z.string().optional(),
      }),
    ),
    total: Sums,
    unallocated: z.object({ usd: z.number().nullable(), provisional: z.boolean() }).nullable().meta({
      description:
        "What sessions of a managed pod cost in which nothing was read: aborted starts, and waiting in vain. With `cost` of all keys it adds up to the pod's bill. Null for the usage of one key, and where no pod is managed.",
    }),
    stored: z.object({ bytes: z.int(), objects: z.int(), measured_at: z.iso.datetime().nullable() }).meta({
      description:
        "What is stored in the bucket now: counted once an hour (less often in a large bucket), plus what was announced since. `measured_at` is null before the first count.",
    }),
  })
  .meta({ id: "UsageReport" });
export type Report = z.output<typeof Report>;

const dayMs = 24 * 3_600_000;
const defaultDays = 30;
const maxDays = 400;

/**
 * The days of a report, both ends included; the last 30 by default.
 * @throws AppError `invalid_request` if they are in the wrong order or more than 400.
 */
export function period(
  given: { from: string | undefined; to: string | undefined },
  now: Date,
): { from: string; to: string } {
  const to = given.to ?? dayOf(now);
  const from = given.from ?? dayOf(new Date(Date.parse(to) - (defaultDays - 1) * dayMs));
  const days = (Date.parse(to) - Date.parse(from)) / dayMs + 1;
  if (days < 1) throw invalidRequest([{ path: "from", message: "must not be after to" }]);
  if (days > maxDays)
    throw invalidRequest([{ path: "from", message: `at most ${maxDays} days can be asked for at once` }]);
  return { from, to };
}

/** What sessions of a pod cost; the key is the one whose usage is asked for, undefined for all. */
interface Costs {
  by: ReadonlyMap<string, Cost>;
  total: Cost | undefined;
  unallocated: Cost | undefined;
}

interface Cost {
  usd: number | null;
  provisional: boolean;
}

export interface Wanted {
  from: string;
  to: string;
  groupBy: "day" | "key" | "task";
  keyId: string | undefined;
  gpuCostPerHour: number | undefined;
  /** Asked where a pod is managed (core/cost). */
  costsOf?: ((keyId: string | undefined) => Promise<Costs>) | undefined;
  log: Log;
}

/**
 * The usage between two days: the caller's own, or with `admin:all_keys` that of all keys or of one.
 * @param wanted.gpuCostPerHour - undefined: `cost` is null. Concurrent calls each count in full although the GPU works
 *   on them at once, so the cost is an upper bound.
 * @throws AppError `not_found` for another key's usage, whether that key exists or not.
 */
export async function list(db: Database.Db, principal: Principal, wanted: Wanted): Promise<Report> {
  const { from, to, groupBy } = wanted;
  const keyId = visibleKey(
    principal,
    wanted.keyId,
    { log: wanted.log, action: "read", what: "usage" },
    { all: true },
  );
  const name = groupBy === "day" ? "day" : (`${groupBy}_id` as const);
  const sums = sql.raw(counted.map((column) => `sum(${column}) AS ${column}`).join(", "));
  const [result] = await Database.batch(
    db,
    [
      Database.statement(
        sql`SELECT ${sql.identifier(name)} AS name, ${sums} FROM "usage" WHERE day BETWEEN ${from} AND ${to}${keyId === undefined ? sql`` : sql` AND key_id = ${keyId}`} GROUP BY 1 ORDER BY 1`,
      ),
    ],
    "read",
  );
  const rows = (result?.rows ?? []).map((row) => ({
    name: String(row.name),
    amounts: counted.map((column) => Number(row[column])),
  }));
  const costs = await wanted.costsOf?.(keyId);
  const inAll = counted.map((_, i) => rows.reduce((sum, { amounts }) => sum + (amounts[i] ?? 0), 0));
  return {
    from,
    to,
    group_by: groupBy,
    items: rows.map((row) => ({
      ...{ [name]: row.name },
      ...sumsOf(row.amounts, wanted.gpuCostPerHour, costs?.by.get(row.name)),
    })),
    total: sumsOf(inAll, wanted.gpuCostPerHour, costs?.total),
    unallocated:
      costs?.unallocated === undefined
        ? null
        : { usd: priceOf(costs.unallocated.usd), provisional: costs.unallocated.provisional },
    stored: await Storage.read(db, keyId),
  };
}

const counted = [
  "items",
  "prompt_tokens",
  "completion_tokens",
  "model_calls",
  "model_ms",
  "image_bytes",
  "pages",
] as const;

/** `amounts` in the order of `counted`. */
function sumsOf(amounts: number[], gpuCostPerHour: number | undefined, cost: Cost | undefined): Sums {
  const [items = 0, promptTokens = 0, completionTokens = 0, ...others] = amounts;
  const [modelCalls = 0, modelMs = 0, imageBytes = 0, pages = 0] = others;
  return {
    items,
    pages,
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    model_calls: modelCalls,
    model_seconds: modelMs / 1000,
    image_bytes: imageBytes,
    cost: priceOf(
      cost !== undefined
        ? cost.usd
        : gpuCostPerHour === undefined
          ? null
          : (modelMs / 3_600_000) * gpuCostPerHour,
    ),
    cost_provisional: cost?.provisional ?? false,
  };
}

/** More decimals than this are meaningless in a price. */
const priceOf = (usd: number | null) => (usd === null ? null : Math.round(usd * 1e6) / 1e6);
