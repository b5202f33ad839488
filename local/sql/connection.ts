import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { encode, type SqlValue, type Statement, type StatementResult } from "#local/sql/protocol";
import * as Scan from "#local/sql/scan";

/** The answer to a failed statement; `code` is the client's `.code`. */
export class SqlError extends Error {
  readonly code: string;
  /** SQLite's extended result code, if there is one. */
  readonly errcode: number | undefined;

  constructor(code: string, message: string, errcode?: number) {
    super(message);
    this.name = "SqlError";
    this.code = code;
    this.errcode = errcode;
  }
}

/** SQLite's primary result codes (https://sqlite.org/rescode.html), index = number. */
const codes =
  "OK ERROR INTERNAL PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT NOTFOUND FULL CANTOPEN PROTOCOL EMPTY SCHEMA TOOBIG CONSTRAINT MISMATCH MISUSE NOLFS AUTH FORMAT RANGE NOTADB".split(
    " ",
  );

const busySnapshot = 517;
const cachedStatements = 200;

/*
 * The limits and behavior of libSQL's server (sqld 0.24, as Turso runs it), so that what is too large or too slow
 * there fails here, too.
 */
/** The size of all values in one answer: for a batch, of all steps together. */
export const maxAnswerBytes = 10_000_000;
/** Of one argument. */
const maxValueBytes = 5_000_000;
/** Statements that it refuses. */
const refused = /^\s*(attach|detach|vacuum)\b/i;
/** Statements that take the write lock within a transaction. */
const locks =
  /^\s*(begin\s+(immediate|exclusive)|insert|update|delete|replace|create|drop|alter|reindex|with\b.*\b(insert|update|delete)\b)/is;

/** How many more bytes an answer may have. */
export interface Budget {
  bytes: number;
}

/** Statements that change the connection, which another stream must not use afterwards. */
const stateful = /\b(?:pragma|attach|detach|temp|temporary)\b/i;

/**
 * One SQLite connection. Calls are synchronous and never wait for a lock: SQLite's own busy handler would
 * block this process, and with it the very COMMIT that is being waited for; the caller waits and repeats
 * (`isBusy`).
 */
export class Connection {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #counters: StatementSync;
  /** True when the connection carries state (PRAGMA, ATTACH, TEMP) that the next stream must not see. */
  dirty = false;
  /** Since when (performance.now()) it has held the lock for writing; undefined when it does not. */
  #lockedSince: number | undefined;
  /** True after its transaction was ended because another stream waited too long. */
  #isRobbed = false;
  /** Whether this Node takes `?3` for a named parameter (22 does, 24 counts it among the positional ones). */
  readonly #numberedAreNamed: boolean;

  constructor(file: string, busyTimeoutMs: number) {
    // Opening may wait: switching to WAL and recovery after a kill need the whole file for a moment.
    this.#db = new DatabaseSync(file, { timeout: busyTimeoutMs, enableForeignKeyConstraints: true });
    try {
      // NORMAL: a commit is in the file (the system's cache) before it is answered, so a killed process loses
      // nothing; only a power cut can take the last commits, and never the file's integrity.
      this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 0;");
      this.#counters = this.#db.prepare("SELECT total_changes(), changes(), last_insert_rowid()");
      this.#counters.setReadBigInts(true);
      this.#counters.setReturnArrays(true);
      const probe = this.#db.prepare("SELECT ?1 AS one, ? AS two").get({ "?1": "named" }, "positional");
      this.#numberedAreNamed = probe?.one === "named";
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  /** False while a transaction is open. */
  get autocommit(): boolean {
    return !this.#db.isTransaction;
  }

  get lockedSince(): number | undefined {
    return this.#lockedSince;
  }

  /** Ends the transaction because another stream has waited too long; its owner gets an error at the next step. */
  rob(): void {
    this.rollback();
    this.#isRobbed = true;
  }

  /** Runs one statement. Throws SqlError. @param budget - of the answer that it is a part of. */
  execute(sql: string, input: Statement, budget: Budget = { bytes: maxAnswerBytes }): StatementResult {
    this.#demandLock();
    const statement = this.#prepare(sql, true);
    const before = this.#count();
    const [named, positional] = bind(sql, input, this.#numberedAreNamed);
    const rows: StatementResult["rows"] = [];
    try {
      if (statement.columns().length === 0) {
        statement.run(named, ...positional);
      } else {
        // Types say objects; setReturnArrays makes them arrays.
        for (const row of statement.iterate(named, ...positional) as Iterable<unknown>) {
          if (input.want_rows === false) continue;
          const values = row as SqlValue[];
          for (const value of values) budget.bytes -= bytesOf(value);
          if (budget.bytes < 0)
            throw new SqlError("RESPONSE_TOO_LARGE", `Response is larger than ${maxAnswerBytes} bytes`);
          rows.push(values.map(encode));
        }
      }
    } catch (error) {
      throw fromSqlite(error);
    }
    this.#noteLock(sql);
    const after = this.#count();
    return {
      // Asked after the run: a cached statement learns of another connection's ALTER TABLE when it runs.
      cols: statement.columns().map(({ name, type }) => ({ name, decltype: type })),
      rows,
      affected_row_count: after.total === before.total ? 0 : Number(after.changes),
      last_insert_rowid: after.rowid.toString(),
    };
  }

  /** Runs the first statement of `sql`, ignoring rows, and returns the rest of the text; null if there is none. */
  executeFirst(sql: string): string | null {
    if (Scan.isBlank(sql)) return null;
    this.#demandLock();
    const statement = this.#prepare(sql, false);
    try {
      if (statement.columns().length === 0) statement.run();
      else for (const _ of statement.iterate());
    } catch (error) {
      throw fromSqlite(error);
    }
    this.#noteLock(statement.sourceSQL);
    return sql.slice(statement.sourceSQL.length);
  }

  /** Columns of a statement that is not run, and whether it writes. Throws SqlError. */
  describe(sql: string): { cols: StatementResult["cols"]; isExplain: boolean; isReadonly: boolean } {
    const statement = this.#prepare(sql, true);
    const isExplain = Scan.isExplain(sql);
    const cols = statement.columns().map(({ name, type }) => ({ name, decltype: type }));
    return { cols, isExplain, isReadonly: isExplain || this.#isReadonly(sql) };
  }

  /** Rolls back an open transaction and forgets nothing else. */
  rollback(): void {
    if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
    this.#lockedSince = undefined;
    this.#isRobbed = false;
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  #demandLock(): void {
    if (!this.#isRobbed) return;
    this.#isRobbed = false;
    throw new SqlError("TRANSACTION_TIMEOUT", "Transaction timed-out");
  }

  #noteLock(sql: string): void {
    if (!this.#db.isTransaction) this.#lockedSince = undefined;
    else if (this.#lockedSince === undefined && locks.test(sql)) this.#lockedSince = performance.now();
  }

  #count(): { total: bigint; changes: bigint; rowid: bigint } {
    const row = this.#counters.get() as unknown as [bigint, bigint, bigint];
    return { total: row[0], changes: row[1], rowid: row[2] };
  }

  /**
   * node:sqlite does not have sqlite3_stmt_readonly. The bytecode shows it instead: a write transaction, or a change
   * of the journal.
   */
  #isReadonly(sql: string): boolean {
    try {
      const program = this.#db.prepare(`EXPLAIN ${sql}`);
      return !program
        .all()
        .some((op) => (op.opcode === "Transaction" && op.p2 !== 0) || op.opcode === "JournalMode");
    } catch (error) {
      throw fromSqlite(error);
    }
  }

  #prepare(sql: string, alone: boolean): StatementSync {
    const cached = this.#statements.get(sql);
    if (cached !== undefined) {
      // Moved to the end: the first entry is then the one unused for longest.
      this.#statements.delete(sql);
      this.#statements.set(sql, cached);
      return cached;
    }
    if (Scan.isBlank(sql))
      throw new SqlError("SQL_NO_STATEMENT", "SQL string does not contain any statement");
    if (refused.test(sql)) throw new SqlError("SQL_PARSE_ERROR", "SQL not allowed statement");
    let statement: StatementSync;
    try {
      statement = this.#db.prepare(sql);
    } catch (error) {
      throw fromSqlite(error);
    }
    if (stateful.test(sql)) this.dirty = true;
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);
    if (!Scan.isBlank(sql.slice(statement.sourceSQL.length))) {
      if (!alone) return statement;
      throw new SqlError("SQL_MANY_STATEMENTS", "SQL string contains more than one statement");
    }
    this.#statements.set(sql, statement);
    if (this.#statements.size > cachedStatements) {
      const [oldest] = this.#statements.keys();
      if (oldest !== undefined) this.#statements.delete(oldest);
    }
    return statement;
  }
}

/** Whether waiting and repeating the same statement can help. A stale snapshot (517) stays stale. */
export function isBusy(error: unknown): boolean {
  return (
    error instanceof SqlError &&
    error.errcode !== undefined &&
    (error.errcode & 0xff) === 5 &&
    error.errcode !== busySnapshot
  );
}

/**
 * Arguments in the form of node:sqlite: an object for named parameters, a list for the others. As strict as Turso, so
 * that statements behave the same: each parameter has a value, and each value a parameter.
 */
function bind(
  sql: string,
  input: Statement,
  numberedAreNamed: boolean,
): [Record<string, SQLInputValue>, SQLInputValue[]] {
  const args = input.args ?? [];
  const namedArgs = input.named_args ?? [];
  const parameters = Scan.parameterNames(sql);
  if (args.length > 0 && namedArgs.length > 0)
    throw new SqlError("ARGS_BOTH_POSITIONAL_AND_NAMED", "Positional and named arguments cannot be combined");
  if (args.length > parameters.length)
    throw new SqlError("ARGS_INVALID", `${args.length} arguments for ${parameters.length} parameters`);
  const given = new Map(namedArgs.map(({ name, value }) => [name, value]));
  const named: Record<string, SQLInputValue> = Object.create(null);
  const positional: SQLInputValue[] = [];
  parameters.forEach((name, at) => {
    const byPosition = name === undefined || name.startsWith("?");
    const value = byPosition ? args[at] : given.has(name) ? given.get(name) : given.get(name.slice(1));
    if (value !== undefined && bytesOf(value) > maxValueBytes)
      throw new SqlError("ARGS_INVALID", `value for parameter ${name ?? at + 1} is too large`);
    if (value === undefined && !Scan.isExplain(sql))
      throw new SqlError("ARGS_INVALID", `value for parameter ${name ?? at + 1} not found`);
    if (name === undefined || (byPosition && !numberedAreNamed)) positional.push(value ?? null);
    else named[name] = value ?? null;
  });
  return [named, positional];
}

/** The size that a value counts as. */
const bytesOf = (value: SqlValue | SQLInputValue): number =>
  typeof value === "string" ? Buffer.byteLength(value) : value instanceof Uint8Array ? value.length : 8;

/** SQLite's own message for a text that is not SQL. */
const noSql = /syntax error|incomplete input|unrecognized token/;

/** node:sqlite's errors as SqlError, with the codes of libSQL's server: the primary code's name, but for SQLITE_ERROR. */
function fromSqlite(error: unknown): SqlError {
  if (error instanceof SqlError) return error;
  if (!(error instanceof Error)) return new SqlError("SQLITE_UNKNOWN", String(error));
  const { errcode } = error as Error & { errcode?: number };
  if (errcode === undefined) return new SqlError("ARGS_INVALID", error.message);
  const name = codes[errcode & 0xff] ?? "UNKNOWN";
  const plain = noSql.test(error.message) ? "SQL_PARSE_ERROR" : "SQLITE_UNKNOWN";
  return new SqlError(name === "ERROR" ? plain : `SQLITE_${name}`, `SQLite error: ${error.message}`, errcode);
}
