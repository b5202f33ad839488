import { type Client, createClient, type InStatement, type ResultSet } from "@libsql/client/http";
import { getTableColumns, type InferSelectModel, type Query, type SQL } from "drizzle-orm";
import type { LibSQLDatabase } from "drizzle-orm/libsql";
import { drizzle } from "drizzle-orm/libsql/http";
import { SQLiteAsyncDialect, type SQLiteTable } from "drizzle-orm/sqlite-core";
import * as Config from "#core/config";
import { AppError } from "#core/error";
import * as Limits from "#spec/limits";
import * as Fault from "./fault.ts";
import * as Wire from "./wire.ts";

/**
 * The database: drizzle writes the statements, libSQL carries them over HTTP. One call here is one round trip.
 */
export interface Db {
  /** For building queries, and for reading with them. */
  query: LibSQLDatabase;
  client: Client;
}

/** Wraps a libSQL client; scripts and tests bring a `file:` client of their own. */
export function wrap(client: Client): Db {
  return { query: drizzle({ client: client as never }), client };
}

let shared: Db | undefined;

/** The client of this instance, made on first use from the configuration. */
export function connect(): Db {
  if (shared === undefined) {
    const { url, authToken } = Config.database();
    const { databaseTimeoutMs } = Limits.times(Config.app().timeScale);
    shared = wrap(
      createClient({
        url,
        ...(authToken === undefined ? {} : { authToken }),
        fetch: Wire.fetcher(databaseTimeoutMs),
      }),
    );
  }
  return shared;
}

/** Anything drizzle can turn into SQL. */
export interface Statement {
  toSQL(): Query;
}

const dialect = new SQLiteAsyncDialect();

/** A statement written in SQL, with drizzle's names and parameters. */
export function statement(text: SQL): Statement {
  return { toSQL: () => dialect.sqlToQuery(text) };
}

/** drizzle's statement in libSQL's form. */
function toLibsql(statement: Statement): InStatement {
  const { sql, params } = statement.toSQL();
  return { sql, args: params as never };
}

type Result = ResultSet;
type Named = Record<string, Statement | undefined>;
/** The results under the names of their statements; none for a statement that was left out. */
type Results<T extends Named> = {
  [Name in keyof T]: undefined extends T[Name] ? Result | undefined : Result;
};

/**
 * Runs the statements in order, as one transaction in one round trip. It uses libSQL's own batch, because drizzle's
 * begins deferred and can fail with SQLITE_BUSY at its first write.
 * @param statements - by name, under which their results are returned (undefined ones are skipped), or as a list.
 * @throws AppError `storage_unavailable` if the database is unavailable or stays locked.
 */
export async function batch<T extends Named>(
  db: Db,
  statements: T,
  mode?: "write" | "read",
): Promise<Results<T>>;
export async function batch(
  db: Db,
  statements: readonly Statement[],
  mode?: "write" | "read",
): Promise<Result[]>;
export async function batch(
  db: Db,
  statements: readonly Statement[] | Named,
  mode: "write" | "read" = "write",
): Promise<unknown> {
  const given = Object.entries(statements).flatMap(([name, statement]) =>
    statement === undefined ? [] : [{ name, statement }],
  );
  const sent = given.map(({ statement }) => toLibsql(statement));
  const call = () => db.client.batch(sent, mode);
  const results = await guard(mode === "read" ? again(call) : call);
  return Array.isArray(statements)
    ? results
    : Object.fromEntries(given.map(({ name }, i) => [name, results[i]]));
}

/**
 * The rows of one query, in one round trip.
 * @throws AppError `storage_unavailable` if the database is unavailable.
 */
export async function read<T>(query: { execute(): Promise<T> }): Promise<T> {
  return guard(again(() => query.execute()));
}

/** Repeats a read once if the connection was dropped during it. Not for statements that change something. */
function again<T>(call: () => Promise<T>): () => Promise<T> {
  return async () => {
    try {
      return await call();
    } catch (thrown) {
      if (!Fault.isDropped(thrown)) throw thrown;
      return call();
    }
  };
}

/** The rows of a raw result, as drizzle would have returned them for this table. */
export function rows<T extends SQLiteTable>(table: T, result: ResultSet | undefined): InferSelectModel<T>[] {
  if (result === undefined) return [];
  const columns = Object.entries(getTableColumns(table));
  return result.rows.map((row) =>
    Object.fromEntries(
      columns.map(([property, column]) => {
        const value = row[column.name];
        return [property, value === null || value === undefined ? null : column.mapFromDriverValue(value)];
      }),
    ),
  ) as InferSelectModel<T>[];
}

/** Runs one database call and turns every fault that is not the statement's own into `storage_unavailable`. */
export async function guard<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    if (Fault.isOutage(thrown)) {
      throw new AppError("storage_unavailable", "the database cannot be reached right now", {
        cause: thrown,
        retryAfterS: 2,
      });
    }
    throw thrown;
  }
}
