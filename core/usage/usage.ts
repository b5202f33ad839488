import { type SQL, sql } from "drizzle-orm";
import * as z from "zod";
import * as Database from "#core/db/database";
import { AppError, invalidRequest } from "#core/error";
import type { Principal } from "#core/key/key";
import { visibleKey } from "#core/key/visible";
import type { Log } from "#core/log";
import * as Storage from "./storage.ts";

/**
 * What keys use, and the limits on it. Every rule is a condition inside the statement that it guards, in the batch
 * that does the work: parallel calls cannot pass it together, and it costs no round trip of its own.
 */

/** Names of limits as `details.limit` tells them. */
export type Limit =
  | "requests_per_minute"
  | "items_per_day"
  | "model_seconds_per_day"
  | "max_run_items"
  | "max_in_flight";

/** Who uses. */
export type User = Pick<Principal, "keyId" | "limits">;

/** What the model server was asked for; all zero when it was not asked. */
export interface Used {
  promptTokens: number;
  completionTokens: number;
  modelCalls: number;
  /** Milliseconds during which an answer was waited for. */
  modelMs: number;
  /** Bytes of the pictures as they came. */
  imageBytes: number;
}

const minuteMs = 60_000;
const dayMs = 24 * 3_600_000;

/** The UTC day that something at `now` counts for: `2026-11-23`. */
export function dayOf(now: Date): string {
  return now.toISOString().slice(0, 10);
}

/**
 * Whether the key's daily limits allow so many more items, as a condition for `INSERT … SELECT … WHERE`: the items
 * used today and these are at most `items_per_day`, and the model's time used today is below `model_seconds_per_day`.
 * Exact as long as `countItems` follows in the same batch.
 * @returns undefined when the key has neither limit. The size of a run is `overRunSize`'s matter.
 */
export function allows(user: User, items: number, now: Date): SQL | undefined {
  const conditions: SQL[] = [];
  const { itemsPerDay } = user.limits;
  if (itemsPerDay !== null)
    conditions.push(sql`${usedToday(user, "items", now)} + ${items} <= ${itemsPerDay}`);
  const time = allowsTime(user, now);
  if (time !== undefined) conditions.push(time);
  return conditions.length === 0 ? undefined : sql.join(conditions, sql` AND `);
}

/** The part of `allows` that also holds for work whose items were counted before: the model's time. */
export function allowsTime(user: User, now: Date): SQL | undefined {
  const { modelSecondsPerDay } = user.limits;
  if (modelSecondsPerDay === null) return undefined;
  return sql`${usedToday(user, "model_ms", now)} < ${modelSecondsPerDay * 1000}`;
}

function usedToday(user: User, column: "items" | "model_ms", now: Date): SQL {
  return sql`(SELECT coalesce(sum(${sql.identifier(column)}), 0) FROM "usage" WHERE key_id = ${user.keyId} AND day = ${dayOf(now)})`;
}

/** Adds accepted items to the day's row if the condition holds, such as `changes() = 1` after the row they are. */
export function countItems(
  what: { keyId: string; taskId: string; items: number; now: Date },
  onlyIf: SQL,
): Database.Statement {
  return add(what, { items: what.items }, onlyIf);
}

/**
 * Adds what an attempt used to the day's row if the condition holds. Directly after the statement that ends the
 * attempt, with `changes() = 1`: whoever lost the fencing token adds nothing.
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
    },
    onlyIf,
  );
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

const tooMuch: Record<Limit, string> = {
  requests_per_minute: "this key has made all the calls of this minute that it may make",
  items_per_day:
    "this key may not read so many pictures today: the rest tomorrow (UTC), or by a higher limit",
  model_seconds_per_day:
    "this key has used up the model's time that it has today: it has more tomorrow (UTC), or by a higher limit",
  max_run_items: "this key may not have so many items in one run: make several of fewer",
  max_in_flight:
    "this key may not have so many pictures at work at once: send the others when some have ended",
};

function limited(
  limit: Limit,
  facts: { allowed: number; used?: number; requested?: number },
  retryAfterS?: number,
): AppError {
  return new AppError("rate_limited", tooMuch[limit], {
    details: { limit, ...facts, ...(retryAfterS === undefined ? {} : { retry_after_s: retryAfterS }) },
    retryAfterS,
  });
}

/** More than the key may ever have: waiting does not help. */
const never = (limit: Limit, facts: { allowed: number; requested: number }) =>
  new AppError("forbidden", tooMuch[limit], { details: { limit, ...facts } });

/** Whole seconds until the next multiple of `everyMs`; at least 1. */
const untilNext = (now: Date, everyMs: number) =>
  Math.max(1, Math.ceil((everyMs - (now.getTime() % everyMs)) / 1000));

/**
 * Why `allows` said no: 429 with the limit that was hit, what is used of it, and the seconds to the next UTC day; 403 for
 * more than a whole day has room for.
 */
export async function refusal(db: Database.Db, user: User, items: number, now: Date): Promise<AppError> {
  const [result] = await Database.batch(
    db,
    [
      Database.statement(
        sql`SELECT ${usedToday(user, "items", now)} AS items, ${usedToday(user, "model_ms", now)} AS model_ms`,
      ),
    ],
    "read",
  );
  const retryAfterS = untilNext(now, dayMs);
  const { itemsPerDay, modelSecondsPerDay, maxInFlight } = user.limits;
  const used = Number(result?.rows[0]?.items ?? 0);
  if (itemsPerDay !== null && items > itemsPerDay)
    return never("items_per_day", { allowed: itemsPerDay, requested: items });
  // What is used only grows within a day, so one of the two still holds; else too many were in flight.
  if (itemsPerDay !== null && used + items > itemsPerDay)
    return limited("items_per_day", { allowed: itemsPerDay, used, requested: items }, retryAfterS);
  const modelSeconds = Number(result?.rows[0]?.model_ms ?? 0) / 1000;
  if (maxInFlight !== null && (modelSecondsPerDay === null || modelSeconds < modelSecondsPerDay))
    return limited("max_in_flight", { allowed: maxInFlight, used: maxInFlight }, 1);
  return limited(
    "model_seconds_per_day",
    { allowed: modelSecondsPerDay ?? 0, used: modelSeconds },
    retryAfterS,
  );
}

/** The refusal of a run that has more items than the key's runs may have. */
export function overRunSize(user: User, items: number): AppError | undefined {
  const { maxRunItems } = user.limits;
  if (maxRunItems === null || items <= maxRunItems) return undefined;
  return never("max_run_items", { allowed: maxRunItems, requested: items });
}

/** The refusal of a run that would have more pictures at work at once than the key may. */
export function overConcurrency(user: User, concurrency: number): AppError | undefined {
  const { maxInFlight } = user.limits;
  if (maxInFlight === null || concurrency <= maxInFlight) return undefined;
  return never("max_in_flight", { allowed: maxInFlight, requested: concurrency });
}

/** Runs of a key that are planned or running, as far as they matter. */
const runsOf = ({ keyId, limits }: User): SQL =>
  sql`(SELECT count(*) FROM (SELECT 1 FROM run WHERE key_id = ${keyId} AND state IN ('planning', 'running')
    LIMIT ${limits.maxInFlight}))`;

/** Whether the key may have one more run going, as a condition; undefined when it has no `max_in_flight`. */
export function allowsRun(user: User): SQL | undefined {
  const { maxInFlight } = user.limits;
  return maxInFlight === null ? undefined : sql`${runsOf(user)} < ${maxInFlight}`;
}

/** How soon one of them may have ended. */
const runEndsS = 30;

/** Why `allowsRun` said no, if it did. @throws AppError `storage_unavailable`. */
export async function tooManyRuns(db: Database.Db, user: User): Promise<AppError | undefined> {
  const { maxInFlight } = user.limits;
  if (maxInFlight === null) return undefined;
  const query = Database.statement(sql`SELECT ${runsOf(user)} AS runs`);
  const [result] = await Database.batch(db, [query], "read");
  const used = Number(result?.rows[0]?.runs ?? 0);
  return used < maxInFlight
    ? undefined
    : limited("max_in_flight", { allowed: maxInFlight, used, requested: 1 }, runEndsS);
}

/**
 * Whether the key may have one more extract at work, as a condition; undefined when it has no such limit. What workers
 * have of its queued ones counts too.
 */
export function allowsInFlight(user: User, now: Date): SQL | undefined {
  const { maxInFlight } = user.limits;
  if (maxInFlight === null) return undefined;
  return sql`(SELECT count(*) FROM extract WHERE status = 'running' AND lease_until > ${now.getTime()}
    AND +key_id = ${user.keyId}) < ${maxInFlight}`;
}

/**
 * Counts a call of a key that has `requests_per_minute`; of other keys nothing is counted or asked. Minutes are the
 * clock's, so a caller may spend two minutes' calls around a boundary. Exact under parallel calls.
 * @returns what is left of the minute; undefined for a key without that limit.
 * @throws AppError `rate_limited` with the seconds to the next minute, `storage_unavailable`.
 */
export async function countRequest(db: Database.Db, user: User, now: Date): Promise<RateLimit | undefined> {
  const { requestsPerMinute } = user.limits;
  if (requestsPerMinute === null) return undefined;
  const resetS = untilNext(now, minuteMs);
  const [counted] = await Database.batch(db, [
    Database.statement(
      sql`INSERT INTO request_count (key_id, minute, count) VALUES (${user.keyId}, ${minuteOf(now)}, 1) ON CONFLICT (key_id, minute) DO UPDATE SET count = request_count.count + 1 WHERE request_count.count < ${requestsPerMinute} RETURNING count`,
    ),
  ]);
  const count = counted?.rows[0]?.[0];
  if (count === undefined) {
    const facts = { allowed: requestsPerMinute, used: requestsPerMinute };
    throw limited("requests_per_minute", facts, resetS);
  }
  return { quota: requestsPerMinute, left: Math.max(0, requestsPerMinute - Number(count)), resetS };
}

/** Calls that a key may make in a minute, and how many of them are left until the next. */
export interface RateLimit {
  quota: number;
  left: number;
  resetS: number;
}

const minuteOf = (now: Date) => Math.floor(now.getTime() / minuteMs);

/** Rows that a sweep removes at once; the next minute goes on. */
const sweptAtOnce = 5_000;

/** Forgets calls counted more than an hour ago: only the running minute is ever asked for. A bounded step. */
export async function sweep(db: Database.Db, now: Date): Promise<void> {
  await Database.batch(db, [
    Database.statement(
      sql`DELETE FROM request_count WHERE rowid IN
        (SELECT rowid FROM request_count WHERE minute < ${minuteOf(now) - 60} LIMIT ${sweptAtOnce})`,
    ),
  ]);
}

const Sums = z.object({
  items: z.int().meta({ description: "Pictures accepted" }),
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  model_calls: z.int().meta({ description: "Calls to the model server, repeats within an attempt included" }),
  model_seconds: z.number(),
  image_bytes: z.int(),
  cost: z.number().nullable().meta({
    description: "Model seconds at the price of a GPU hour: an upper bound. Null: no price is set.",
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
    stored: z.object({ bytes: z.int(), objects: z.int(), measured_at: z.iso.datetime().nullable() }).meta({
      description:
        "What lies in the bucket now: counted once an hour or, in a large bucket, less often, and what was announced since. `measured_at` is null before the first count.",
    }),
  })
  .meta({ id: "UsageReport" });
export type Report = z.output<typeof Report>;

const defaultDays = 30;
const maxDays = 400;

/**
 * The days that a question is about, both ends included; the last 30 unless told otherwise.
 * @throws AppError `invalid_request` when they are in the wrong order or more than 400.
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

/**
 * What was used from one day to another: the caller's own, or with `admin:all_keys` everybody's or one key's.
 * @param wanted.gpuCostPerHour - undefined: `cost` is null. Concurrent calls each count in full, although the GPU works
 *   on them at once, so the cost is an upper bound.
 * @throws AppError `not_found` for another key's usage, whether that key exists or not.
 */
export async function list(
  db: Database.Db,
  principal: Principal,
  wanted: {
    from: string;
    to: string;
    groupBy: "day" | "key" | "task";
    keyId: string | undefined;
    gpuCostPerHour: number | undefined;
    log: Log;
  },
): Promise<Report> {
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
  const inAll = counted.map((_, i) => rows.reduce((sum, { amounts }) => sum + (amounts[i] ?? 0), 0));
  return {
    from,
    to,
    group_by: groupBy,
    items: rows.map((row) => ({ [name]: row.name, ...sumsOf(row.amounts, wanted.gpuCostPerHour) })),
    total: sumsOf(inAll, wanted.gpuCostPerHour),
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
] as const;

/** `amounts` in the order of `counted`. */
function sumsOf(amounts: number[], gpuCostPerHour: number | undefined): Sums {
  const [items = 0, promptTokens = 0, completionTokens = 0, modelCalls = 0, modelMs = 0, imageBytes = 0] =
    amounts;
  return {
    items,
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    model_calls: modelCalls,
    model_seconds: modelMs / 1000,
    image_bytes: imageBytes,
    // A price with more decimals than this is noise.
    cost:
      gpuCostPerHour === undefined ? null : Math.round((modelMs / 3_600_000) * gpuCostPerHour * 1e6) / 1e6,
  };
}
