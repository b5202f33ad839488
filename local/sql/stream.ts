import { randomBytes } from "node:crypto";
import { type Budget, type Connection, maxAnswerBytes, SqlError } from "#local/sql/connection";
import type { Pool } from "#local/sql/pool";
import type {
  Batch,
  BatchResult,
  Condition,
  SqlSource,
  Statement,
  StatementResult,
  StreamRequest,
  StreamResponse,
  WireError,
} from "#local/sql/protocol";
import * as Scan from "#local/sql/scan";

const maxConditionDepth = 100;
/** Turso's limits: how many texts, how many characters one stream may store. */
const maxStoredSql = 150;
const maxStoredCharacters = 5 * 64 * 1024;

/** The request cannot be answered at all (HTTP 400): the baton is unknown, used up or expired. */
export class BatonError extends Error {}

/**
 * A Hrana stream: one connection, alone, from the first request until `close`, until too long without a request,
 * or until its pipeline ends without leaving anything open.
 */
export class Stream {
  readonly #connection: Connection;
  readonly #pool: Pool;
  readonly #stored = new Map<number, string>();
  closed = false;

  constructor(connection: Connection, pool: Pool) {
    this.#connection = connection;
    this.#pool = pool;
  }

  /** Carries out one request. Throws SqlError; the stream stays usable. */
  async run(request: StreamRequest): Promise<StreamResponse> {
    if (this.closed) throw new SqlError("STREAM_CLOSED", "The stream is closed");
    switch (request.type) {
      case "close":
        this.close();
        return { type: "close" };
      case "execute":
        return { type: "execute", result: await this.#execute(request.stmt) };
      case "batch":
        return { type: "batch", result: await this.batch(request.batch) };
      case "sequence":
        await this.#sequence(this.#text(request));
        return { type: "sequence" };
      case "describe": {
        const sql = this.#text(request);
        const { cols, isExplain, isReadonly } = await this.#pool.whenFree(() =>
          this.#connection.describe(sql),
        );
        const params = Scan.parameterNames(sql).map((name) => ({ name: name ?? null }));
        return { type: "describe", result: { params, cols, is_explain: isExplain, is_readonly: isReadonly } };
      }
      case "store_sql":
        this.#store(request.sql_id, request.sql);
        return { type: "store_sql" };
      case "close_sql":
        this.#stored.delete(request.sql_id);
        return { type: "close_sql" };
      case "get_autocommit":
        return { type: "get_autocommit", is_autocommit: this.#connection.autocommit };
    }
  }

  /**
   * Runs the steps whose conditions hold; a failing step does not end the batch, conditions decide. Throws SqlError
   * `RESPONSE_TOO_LARGE` when the steps' results together are.
   */
  async batch({ steps }: Batch): Promise<BatchResult> {
    const results: (StatementResult | null)[] = steps.map(() => null);
    const errors: (WireError | null)[] = steps.map(() => null);
    const budget = { bytes: maxAnswerBytes };
    for (const [at, step] of steps.entries()) {
      const holds = (condition: Condition, depth: number): boolean => {
        if (depth > maxConditionDepth)
          throw new SqlError("CONDITION_INVALID", "Condition is nested too deeply");
        switch (condition.type) {
          case "ok":
            return results[condition.step] != null;
          case "error":
            return errors[condition.step] != null;
          case "not":
            return !holds(condition.cond, depth + 1);
          case "and":
            return condition.conds.every((part) => holds(part, depth + 1));
          case "or":
            return condition.conds.some((part) => holds(part, depth + 1));
          case "is_autocommit":
            return this.#connection.autocommit;
        }
      };
      if (step.condition != null && !holds(step.condition, 0)) continue;
      try {
        results[at] = await this.#execute(step.stmt, budget);
      } catch (error) {
        // No answer could tell which steps were carried out.
        if (budget.bytes < 0) throw error;
        errors[at] = toWire(error);
      }
    }
    return { step_results: results, step_errors: errors };
  }

  /** Ends the stream; what its transaction did and did not commit is rolled back. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#pool.release(this.#connection);
  }

  async #execute(statement: Statement, budget?: Budget): Promise<StatementResult> {
    const sql = this.#text(statement);
    return this.#waking(() => this.#connection.execute(sql, statement, budget));
  }

  /** Runs all statements of a text; the first error ends it. */
  async #sequence(sql: string): Promise<void> {
    let rest: string | null = sql;
    while (rest !== null) {
      const text: string = rest;
      rest = await this.#waking(() => this.#connection.executeFirst(text));
    }
  }

  /** Waits for locks, and wakes waiting streams when a transaction ends. */
  async #waking<Result>(work: () => Result): Promise<Result> {
    const wasOpen = !this.#connection.autocommit;
    try {
      return await this.#pool.whenFree(work);
    } finally {
      if (wasOpen && !this.closed && this.#connection.autocommit) this.#pool.wake();
    }
  }

  #text(source: SqlSource): string {
    if (source.sql != null && source.sql_id != null)
      throw new SqlError("SQL_INVALID", "Both sql and sql_id are given");
    if (source.sql != null) return source.sql;
    if (source.sql_id == null) throw new SqlError("SQL_INVALID", "Neither sql nor sql_id is given");
    const text = this.#stored.get(source.sql_id);
    if (text === undefined) throw new SqlError("SQL_NOT_FOUND", `SQL text ${source.sql_id} is not stored`);
    return text;
  }

  #store(id: number, sql: string): void {
    if (this.#stored.has(id)) throw new SqlError("SQL_EXISTS", `SQL text ${id} is already stored`);
    let characters = sql.length;
    for (const text of this.#stored.values()) characters += text.length;
    if (this.#stored.size >= maxStoredSql || characters > maxStoredCharacters)
      throw new SqlError("SQL_STORE_TOO_LARGE", "Too many SQL texts are stored on this stream");
    this.#stored.set(id, sql);
  }
}

/** The open streams, each known by the baton of its last answer; a baton is good for one request. */
export class Streams {
  readonly #pool: Pool;
  readonly #parked = new Map<string, { stream: Stream; timer: NodeJS.Timeout }>();

  readonly #expiryMs: number;

  constructor(pool: Pool, expiryMs: number) {
    this.#pool = pool;
    this.#expiryMs = expiryMs;
  }

  /** The baton's stream, or a new one without a baton. Throws BatonError, SqlError. */
  async take(baton: string | null | undefined): Promise<Stream> {
    if (baton == null) return new Stream(await this.#pool.acquire(), this.#pool);
    const parked = this.#parked.get(baton);
    if (parked === undefined) throw new BatonError("The baton is unknown, was used before or has expired");
    clearTimeout(parked.timer);
    this.#parked.delete(baton);
    return parked.stream;
  }

  /** Keeps the stream for its next request, at most `expiryMs`, and returns the baton; null when it has ended. */
  park(stream: Stream): string | null {
    if (stream.closed) return null;
    const baton = randomBytes(24).toString("base64url");
    const timer = setTimeout(() => {
      this.#parked.delete(baton);
      stream.close();
    }, this.#expiryMs);
    timer.unref();
    this.#parked.set(baton, { stream, timer });
    return baton;
  }

  close(): void {
    for (const { timer } of this.#parked.values()) clearTimeout(timer);
    this.#parked.clear();
  }
}

/** An error as the protocol carries it. */
export function toWire(error: unknown): WireError {
  if (error instanceof SqlError) return { message: error.message, code: error.code };
  return { message: error instanceof Error ? error.message : String(error), code: "INTERNAL" };
}
