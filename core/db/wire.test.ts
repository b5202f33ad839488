import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient } from "@libsql/client/http";
import { sql } from "drizzle-orm";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as Database from "./database.ts";
import * as Wire from "./wire.ts";

/** A database server that answers as a test says, and the requests that it got. */
let server: Server;
let answer: RequestListener;
let requests: number;
let unhandled: unknown[];
const note = (reason: unknown) => unhandled.push(reason);

beforeEach(async () => {
  requests = 0;
  unhandled = [];
  process.on("unhandledRejection", note);
  server = createServer((request, response) => {
    requests += 1;
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  process.off("unhandledRejection", note);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function connect(timeoutMs = 2_000): Database.Db {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Database.wrap(createClient({ url, fetch: Wire.fetcher(timeoutMs) }));
}
/** It looks like an error on the wire, but is a value. */
const written = '"message":';
const select = Database.statement(sql`SELECT 1 AS one`);

/** Answers a pipeline whose batch ended with these faults of its steps; null: the step's result. */
const ending = (fault: (step: number) => object | null): RequestListener => {
  return async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const { requests: asked } = JSON.parse(text) as {
      requests: { type: string; batch?: { steps: unknown[] } }[];
    };
    const one = {
      cols: [{ name: "one" }],
      rows: [[{ type: "text", value: written }]],
      affected_row_count: 0,
    };
    const results = asked.map(({ type, batch }) => {
      const errors = (batch?.steps ?? []).map((_, step) => fault(step));
      const result = {
        step_results: errors.map((error) => (error === null ? one : null)),
        step_errors: errors,
      };
      return { type: "ok", response: type === "batch" ? { type, result } : { type } };
    });
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ baton: null, base_url: null, results }));
  };
};

describe("the way to the database", () => {
  test("a transaction of which several steps report faults ends as 503, and leaves no promise that ends the process", async () => {
    answer = ending(() => ({ message: "the transaction timed out", code: "TRANSACTION_TIMEOUT" }));
    const call = Database.batch(connect(), [select, select]);
    await expect(call).rejects.toMatchObject({ code: "storage_unavailable" });
    // A rejected promise without a handler is reported in the next turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
  });

  test("answers come through as they are, also where a value looks like an error", async () => {
    answer = ending(() => null);
    const [result] = await Database.batch(connect(), [select]);
    expect(result?.rows[0]?.one).toBe(written);
  });

  test("a silent database, and one that stops in the middle of its answer, are 503 within the time", async () => {
    answer = (_request, response) => void response.writeHead(200).write('{"baton":');
    await expect(Database.batch(connect(200), [select])).rejects.toMatchObject({ status: 503 });
    answer = () => {};
    await expect(Database.batch(connect(200), [select])).rejects.toMatchObject({ status: 503 });
  });

  test("a read whose connection was dropped is repeated without a fault for the caller; a write is sent once", async () => {
    const db = connect();
    const works = ending(() => null);
    answer = (request, response) => (requests === 1 ? request.socket.destroy() : works(request, response));
    const [result] = await Database.batch(db, [select], "read");
    expect(result?.rows[0]?.one).toBe(written);
    expect(requests).toBe(2);

    requests = 0;
    await expect(Database.batch(db, [select], "write")).rejects.toMatchObject({ status: 503 });
    expect(requests).toBe(1);

    requests = 0;
    answer = (request) => void request.socket.destroy();
    await expect(Database.batch(db, [select], "read")).rejects.toMatchObject({ status: 503 });
    expect(requests).toBe(2);
  });
});
