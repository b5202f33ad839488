import {
  type Client,
  createClient,
  type InStatement,
  LibsqlError,
  type ResultSet,
} from "@libsql/client/http";
import { getTableColumns, type InferSelectModel, type Query, type SQL } from "drizzle-orm";
import type { LibSQLDatabase } from "drizzle-orm/libsql";
import { drizzle } from "drizzle-orm/libsql/http";
import { SQLiteAsyncDialect, type SQLiteTable } from "drizzle-orm/sqlite-core";
import * as Config from "#core/config";
import { AppError } from "#core/error";
import * as Limits from "#infra/limits";

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
        // libSQL's client has no time limit of its own: a silent database must not eat the invocation.
        fetch: (request: Request) => fetch(request, { signal: AbortSignal.timeout(databaseTimeoutMs) }),
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

/**
 * Runs the statements as one transaction in one round trip, all or nothing. Through libSQL's own batch: drizzle's
 * runs deferred and can fail with SQLITE_BUSY at its first write.
 * @throws AppError `storage_unavailable` when the database is away or stays locked.
 */
export async function batch(
  db: Db,
  statements: Statement[],
  mode: "write" | "read" = "write",
): Promise<ResultSet[]> {
  return guard(() => db.client.batch(statements.map(toLibsql), mode));
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

/** Runs one database call and turns "away", "locked" and "timed out" into `storage_unavailable`. */
export async function guard<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    if (isUnavailable(thrown)) {
      throw new AppError("storage_unavailable", "the database cannot be reached right now", {
        cause: thrown,
        retryAfterS: 2,
      });
    }
    throw thrown;
  }
}

/** True for faults that say nothing about the statement: no connection, no answer in time, locked, 5xx of a proxy. */
function isUnavailable(thrown: unknown): boolean {
  for (let at: unknown = thrown, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    if (at instanceof LibsqlError) {
      if (/^SQLITE_(BUSY|LOCKED|IOERR|FULL|CANTOPEN|READONLY|CORRUPT|NOTADB)/.test(at.code)) return true;
      // Said by the client or the server about themselves, not about a statement.
      if (/^(SERVER_|HRANA_|STREAM_|BLOCKED)/.test(at.code)) return true;
    }
    if (at.name === "TimeoutError" || at.name === "AbortError") return true;
    if (at instanceof TypeError && at.message === "fetch failed") return true;
    if (
      "code" in at &&
      typeof at.code === "string" &&
      /^(ECONN|ENOTFOUND|EAI_|ETIMEDOUT|EPIPE|UND_ERR)/.test(at.code)
    )
      return true;
  }
  return false;
}
