import { type SQL, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import type { Principal } from "#core/key/key";
import { dayOf } from "./day.ts";

/*
 * The limits of a key. Each limit is a condition within the statement that it guards, in the batch that does the work:
 * parallel calls cannot exceed it together, and it takes no additional round trip.
 */

/** The names of limits, as in `details.limit`. */
type Limit =
  | "requests_per_minute"
  | "items_per_day"
  | "model_seconds_per_day"
  | "max_run_items"
  | "max_in_flight";

/** The key whose usage is counted. */
export type User = Pick<Principal, "keyId" | "limits">;

const minuteMs = 60_000;
const dayMs = 24 * 3_600_000;

/**
 * The condition that the key's daily limits allow this many more items, for `INSERT … SELECT … WHERE`: today's items
 * plus these are at most `items_per_day`, and today's model time is below `model_seconds_per_day`. Exact if
 * `countItems` follows in the same batch.
 * @returns undefined if the key has neither limit. `overRunSize` checks the size of a run.
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

/** The part of `allows` for work whose items were counted before: the model time. */
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
    "this key may not read so many pictures today: send the rest tomorrow (UTC), or get a higher limit",
  model_seconds_per_day:
    "this key has used up its model time of today: it has more tomorrow (UTC), or with a higher limit",
  max_run_items: "this key may not have so many items in one run: make several of fewer",
  max_in_flight:
    "this key may not have so many pictures at work at once: send the others when some have ended",
};

/** The refusal of a call that may succeed later. */
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

/** The refusal of more than the key may ever have; waiting does not help. */
const never = (limit: Limit, facts: { allowed: number; requested: number }) =>
  new AppError("forbidden", tooMuch[limit], { details: { limit, ...facts } });

/**
 * Why `allows` was false: 429 with the limit that was hit, its usage, and the seconds to the next UTC day; 403 for more
 * than a whole day allows.
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
  // Usage only grows within a day, so one of the two still holds; otherwise too many were in flight.
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
 * Counts a call of a key that has `requests_per_minute`; other keys' calls are not counted. Minutes are clock minutes,
 * so a caller may use two minutes' calls around a boundary. Exact under parallel calls.
 * @returns the remaining calls of the minute; undefined for a key without that limit.
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

/** A key's calls per minute, and the remaining ones of this minute. */
export interface RateLimit {
  quota: number;
  left: number;
  resetS: number;
}

const minuteOf = (now: Date) => Math.floor(now.getTime() / minuteMs);

/** Rows per sweep; the next minute continues. */
const sweptAtOnce = 5_000;

/** Removes counts older than an hour: only the current minute is ever read. A bounded step. */
export async function sweep(db: Database.Db, now: Date): Promise<void> {
  await Database.batch(db, [
    Database.statement(
      sql`DELETE FROM request_count WHERE rowid IN
        (SELECT rowid FROM request_count WHERE minute < ${minuteOf(now) - 60} LIMIT ${sweptAtOnce})`,
    ),
  ]);
}
