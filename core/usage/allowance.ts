import { type SQL, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import type { Principal } from "#core/key/key";
import { dayOf } from "./day.ts";

/*
 * What a key may still use. Every limit is a condition inside the statement that it guards, in the batch that does the
 * work: parallel calls cannot pass it together, and it costs no round trip of its own.
 */

/** Names of limits as `details.limit` tells them. */
type Limit =
  | "requests_per_minute"
  | "items_per_day"
  | "model_seconds_per_day"
  | "max_run_items"
  | "max_in_flight";

/** Who uses. */
export type User = Pick<Principal, "keyId" | "limits">;

const minuteMs = 60_000;
const dayMs = 24 * 3_600_000;

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

/** The refusal of what another time allows. */
export function limited(
  limit: Limit,
  facts: { allowed: number; used?: number; requested?: number },
  retryAfterS?: number,
): AppError {
  const again = retryAfterS === undefined ? "" : ` (again in ${Math.ceil(retryAfterS)} s)`;
  return new AppError("rate_limited", tooMuch[limit] + again, {
    details: { limit, ...facts, ...(retryAfterS === undefined ? {} : { retry_after_s: retryAfterS }) },
    retryAfterS,
  });
}

/** More than the key may ever have: waiting does not help. */
const never = (limit: Limit, facts: { allowed: number; requested: number }) =>
  new AppError("forbidden", tooMuch[limit], { details: { limit, ...facts } });

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

/** Whole seconds until the next multiple of `everyMs`; at least 1. */
const untilNext = (now: Date, everyMs: number) =>
  Math.max(1, Math.ceil((everyMs - (now.getTime() % everyMs)) / 1000));

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
