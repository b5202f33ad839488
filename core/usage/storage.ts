import { type SQL, sql } from "drizzle-orm";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import type { User } from "./allowance.ts";

/*
 * How much a key stores in the bucket: the result of the last census, plus the announcements since it began. Never too
 * low for limits; too high by at most what was removed until the next census (an hour and the census's own time).
 */

/** The amount to be stored. */
export interface Amount {
  bytes: number;
  objects: number;
}

/** The condition that the key's limits allow this much more; undefined if it has neither limit. */
export function allows(user: User, more: Amount): SQL | undefined {
  const { maxStoredBytes, maxStoredObjects } = user.limits;
  const conditions = [
    ...(maxStoredBytes === null ? [] : [sql`${stored(user, "bytes")} + ${more.bytes} <= ${maxStoredBytes}`]),
    ...(maxStoredObjects === null
      ? []
      : [sql`${stored(user, "objects")} + ${more.objects} <= ${maxStoredObjects}`]),
  ];
  return conditions.length === 0 ? undefined : sql.join(conditions, sql` AND `);
}

const stored = (user: User, what: "bytes" | "objects") =>
  sql`coalesce((SELECT ${sql.identifier(what)} + ${sql.identifier(`recent_${what}`)} FROM "storage" WHERE key_id = ${user.keyId}), 0)`;

/** Adds what was announced, if the condition holds; directly after the statement that announces it. */
export function add(keyId: string, { bytes, objects }: Amount, onlyIf: SQL): Database.Statement {
  return Database.statement(sql`INSERT INTO "storage" (key_id, recent_bytes, recent_objects, next_bytes, next_objects)
    SELECT ${keyId}, ${bytes}, ${objects}, ${bytes}, ${objects} WHERE ${onlyIf}
    ON CONFLICT (key_id) DO UPDATE SET recent_bytes = recent_bytes + excluded.recent_bytes,
      recent_objects = recent_objects + excluded.recent_objects, next_bytes = next_bytes + excluded.next_bytes,
      next_objects = next_objects + excluded.next_objects`);
}

/**
 * Counts what will be stored, if the key's limits allow it.
 * @throws AppError `forbidden` with `details.limit`: waiting does not help, deleting does; `storage_unavailable`.
 */
export async function announce(db: Database.Db, user: User, more: Amount): Promise<void> {
  const condition = allows(user, more);
  const [added] = await Database.batch(db, [add(user.keyId, more, condition ?? sql`true`)]);
  if (condition !== undefined && added?.rowsAffected !== 1) throw await refusal(db, user, more);
}

/**
 * Subtracts what was deleted, until the next census counts what is left. Never more than was counted: two calls that
 * delete one folder in parallel both report its removal.
 */
export async function released(db: Database.Db, keyId: string, { bytes, objects }: Amount): Promise<void> {
  await Database.batch(db, [
    Database.statement(sql`UPDATE "storage" SET recent_bytes = max(recent_bytes - ${bytes}, -bytes),
      recent_objects = max(recent_objects - ${objects}, -objects) WHERE key_id = ${keyId}`),
  ]);
}

/** Why `allows` was false. */
export async function refusal(db: Database.Db, user: User, more: Amount): Promise<AppError> {
  const { maxStoredBytes, maxStoredObjects } = user.limits;
  const { bytes, objects } = await read(db, user.keyId);
  const tooManyBytes = maxStoredBytes !== null && bytes + more.bytes > maxStoredBytes;
  const [limit, allowed, used, requested] = tooManyBytes
    ? ["max_stored_bytes", maxStoredBytes, bytes, more.bytes]
    : ["max_stored_objects", maxStoredObjects ?? 0, objects, more.objects];
  return new AppError("forbidden", "this key may not keep so much: delete what is not needed any more", {
    details: { limit, allowed, used, requested },
  });
}

/** What a key, or all of them, stores in the bucket; `measured_at` is the time of the oldest census in it. */
export async function read(
  db: Database.Db,
  keyId: string | undefined,
): Promise<{ bytes: number; objects: number; measured_at: string | null }> {
  const [result] = await Database.batch(
    db,
    [
      Database.statement(sql`SELECT sum(max(0, bytes + recent_bytes)) AS bytes, sum(max(0, objects + recent_objects)) AS objects,
          min(measured_at) AS measured_at FROM "storage"${keyId === undefined ? sql`` : sql` WHERE key_id = ${keyId}`}`),
    ],
    "read",
  );
  const [row] = result?.rows ?? [];
  const at = row?.measured_at;
  return {
    bytes: Number(row?.bytes ?? 0),
    objects: Number(row?.objects ?? 0),
    measured_at: at === null || at === undefined ? null : new Date(Number(at)).toISOString(),
  };
}

/*
 * A census (core/census/census.ts) counts page by page in columns of its own, which then replace the totals. Each of
 * these statements does its part if the condition holds.
 */

/** Starts a census: its counts are zero, and announcements from now on are added to its result. */
export function beginPass(onlyIf: SQL): Database.Statement {
  return Database.statement(sql`UPDATE "storage" SET pass_bytes = 0, pass_objects = 0, next_bytes = 0, next_objects = 0
    WHERE ${onlyIf}`);
}

/** Adds what a page of the census found, by key. */
export function countPage(found: ReadonlyMap<string, Amount>, onlyIf: SQL): Database.Statement {
  const list = JSON.stringify([...found].map(([keyId, { bytes, objects }]) => [keyId, bytes, objects]));
  return Database.statement(sql`INSERT INTO "storage" (key_id, pass_bytes, pass_objects)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
    FROM json_each(${list}) WHERE ${onlyIf}
    ON CONFLICT (key_id) DO UPDATE SET pass_bytes = pass_bytes + excluded.pass_bytes,
      pass_objects = pass_objects + excluded.pass_objects`);
}

/** Ends a census: its counts become the totals. */
export function endPass(now: Date, onlyIf: SQL): Database.Statement {
  return Database.statement(sql`UPDATE "storage" SET bytes = pass_bytes, objects = pass_objects,
    recent_bytes = next_bytes, recent_objects = next_objects, measured_at = ${now.getTime()} WHERE ${onlyIf}`);
}
