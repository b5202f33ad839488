import { LibsqlError } from "@libsql/client/http";
import { describe, expect, test } from "vitest";
import type { AppError } from "#core/error";
import * as Database from "./database.ts";

/** The error of a call whose statement failed like this. */
const told = (thrown: unknown): Promise<AppError | Error> =>
  Database.guard(() => Promise.reject(thrown)).then(
    () => {
      throw new Error("it succeeded");
    },
    (error: Error) => error,
  );

describe("a fault of the database", () => {
  test.each([
    ...[
      "SQLITE_BUSY",
      "SQLITE_INTERRUPT",
      "SQLITE_NOMEM",
      "SQLITE_PROTOCOL",
      "SQLITE_ABORT",
      "SQLITE_SCHEMA",
    ],
    ...["TRANSACTION_TIMEOUT", "TRANSACTION_BUSY", "TRANSACTION_CLOSED", "RESPONSE_TOO_LARGE", "PROXY_ERROR"],
    ...["BLOCKED", "STREAM_EXPIRED", "SERVER_ERROR", "HRANA_CLOSED_ERROR", "UNKNOWN", "A_NEW_ONE"],
  ])("that says nothing about the statement is 503 with Retry-After: %s", async (code) => {
    expect(await told(new LibsqlError("x", code))).toMatchObject({
      code: "storage_unavailable",
      status: 503,
      retryAfterS: 2,
    });
  });

  test.each([
    ...["SQLITE_CONSTRAINT", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_MISMATCH", "SQLITE_TOOBIG"],
    ...["SQL_PARSE_ERROR", "SQL_MANY_STATEMENTS", "ARGS_INVALID", "ARGS_BOTH_POSITIONAL_AND_NAMED"],
  ])("caused by the statement itself is passed on unchanged: %s", async (code) => {
    const fault = new LibsqlError("x", code);
    expect(await told(fault)).toBe(fault);
  });

  test.each(["SQLITE_ERROR", "SQLITE_UNKNOWN"])(
    "with SQLite's catch-all %s is recognized by its message",
    async (code) => {
      const missing = new LibsqlError("SQLite error: no such table: run", code);
      expect(await told(missing)).toBe(missing);
      const ended = new LibsqlError("SQLite error: cannot commit - no transaction is active", code);
      expect(await told(ended)).toMatchObject({ code: "storage_unavailable" });
    },
  );

  test("in the network is an outage; a mistake in our code is not", async () => {
    const below = Object.assign(new Error("x"), { code: "ENOTFOUND" });
    expect(await told(new TypeError("fetch failed", { cause: below }))).toMatchObject({ status: 503 });
    expect(await told(new TypeError("terminated"))).toMatchObject({ status: 503 });
    expect(await told(new DOMException("x", "TimeoutError"))).toMatchObject({ status: 503 });
    const ours = new TypeError("undefined is not a function");
    expect(await told(ours)).toBe(ours);
  });
});
