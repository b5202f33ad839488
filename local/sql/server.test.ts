import { once } from "node:events";
import { connect } from "node:net";
import { createClient as createNativeClient } from "@libsql/client";
import { LibsqlError } from "@libsql/client/web";
import * as fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { useWorkspace } from "#test/support/sql-workspace";

const workspace = useWorkspace();
const { serve, clientOf } = workspace;

interface StreamResult {
  type: string;
  response: { result: { step_results: unknown[]; step_errors: unknown[] } };
}

async function pipeline(
  url: string,
  body: unknown,
  path = "/v2/pipeline",
): Promise<{ status: number; json: { baton: string | null; results: StreamResult[] } }> {
  const response = await fetch(url + path, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const json = (await response.json()) as { baton: string | null; results: StreamResult[] };
  return { status: response.status, json };
}

const execute = (text: string) => ({ type: "execute", stmt: { sql: text } });

describe("transactions", () => {
  test("a batch happens whole or not at all, and the error has SQLite's code", async () => {
    const client = clientOf((await serve()).url);
    await client.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT UNIQUE)");
    const failing = client.batch(["INSERT INTO t VALUES (1, 'x')", "INSERT INTO t VALUES (2, 'x')"], "write");
    await expect(failing).rejects.toMatchObject({
      code: "SQLITE_CONSTRAINT",
      cause: { code: "SQLITE_CONSTRAINT" },
    });
    expect((await client.execute("SELECT count(*) FROM t")).rows[0]?.[0]).toBe(0n);
  });

  test("changes() in a batch counts the statement before it", async () => {
    const client = clientOf((await serve()).url);
    await client.executeMultiple("CREATE TABLE t (a); CREATE TABLE n (c); INSERT INTO n VALUES (0), (0)");
    await client.batch(["INSERT INTO t VALUES (1), (2), (3)", "UPDATE n SET c = c + changes()"], "write");
    expect((await client.execute("SELECT min(c), max(c) FROM n")).rows[0]).toMatchObject({
      "min(c)": 3n,
      "max(c)": 3n,
    });
  });

  test("no statement of another stream slips into an open transaction, it waits for its end", async () => {
    const client = clientOf((await serve()).url);
    await client.execute("CREATE TABLE t (a)");
    const transaction = await client.transaction("write");
    await transaction.execute("INSERT INTO t VALUES (1)");
    let done = false;
    const other = client.execute("INSERT INTO t VALUES (2)").then(() => {
      done = true;
    });
    // A reader is not blocked, and does not see uncommitted rows.
    expect((await client.execute("SELECT count(*) FROM t")).rows[0]?.[0]).toBe(0n);
    await transaction.execute("INSERT INTO t VALUES (3)");
    expect(done).toBe(false);
    await transaction.rollback();
    await other;
    expect((await client.execute("SELECT a FROM t")).rows.map((row) => row.a)).toEqual([2n]);
  });

  test("twenty transactions that read and then write lose no update", async () => {
    const client = clientOf((await serve()).url);
    await client.executeMultiple("CREATE TABLE n (c INTEGER); INSERT INTO n VALUES (0)");
    const one = async () => {
      const transaction = await client.transaction("write");
      const before = (await transaction.execute("SELECT c FROM n")).rows[0]?.c as bigint;
      await transaction.execute({ sql: "UPDATE n SET c = ?", args: [before + 1n] });
      await transaction.commit();
    };
    await Promise.all(Array.from({ length: 20 }, one));
    expect((await client.execute("SELECT c FROM n")).rows[0]?.c).toBe(20n);
  });

  test("a stream that expires is rolled back and gives its lock back; its baton is refused", async () => {
    const { url } = await serve({ streamExpiryMs: 150 });
    const client = clientOf(url);
    await client.execute("CREATE TABLE t (a)");
    const { json } = await pipeline(url, {
      requests: [execute("BEGIN IMMEDIATE"), execute("INSERT INTO t VALUES (1)")],
    });
    await client.execute("INSERT INTO t VALUES (2)");
    expect((await client.execute("SELECT a FROM t")).rows.map((row) => row.a)).toEqual([2n]);
    const late = await pipeline(url, { baton: json.baton, requests: [execute("COMMIT")] });
    expect(late).toMatchObject({ status: 400, json: { code: "STREAM_EXPIRED" } });
  });

  test("a transaction whose snapshot is stale fails at once, because waiting does not help", async () => {
    const client = clientOf((await serve()).url);
    await client.execute("CREATE TABLE t (a)");
    const transaction = await client.transaction("deferred");
    await transaction.execute("SELECT * FROM t");
    await client.execute("INSERT INTO t VALUES (1)");
    const before = performance.now();
    await expect(transaction.execute("INSERT INTO t VALUES (2)")).rejects.toMatchObject({
      code: "SQLITE_BUSY",
    });
    expect(performance.now() - before).toBeLessThan(4000);
    transaction.close();
  });

  test("a client that leaves during its request leaves no lock behind", async () => {
    let held: (() => void) | undefined;
    const { url } = await serve({
      onRequest: ({ statements }) => {
        if (statements !== 3) return;
        return new Promise((go) => {
          held = go;
        });
      },
    });
    const client = clientOf(url);
    await client.execute("CREATE TABLE t (a)");
    const leaving = new AbortController();
    const requests = ["BEGIN IMMEDIATE", "INSERT INTO t VALUES (1)", "SELECT 1"].map(execute);
    const lost = fetch(`${url}/v2/pipeline`, {
      method: "POST",
      body: JSON.stringify({ requests }),
      signal: leaving.signal,
    }).catch((error: unknown) => error);
    await vi.waitFor(() => expect(held).toBeDefined());
    leaving.abort();
    await lost;
    // Two answers on another connection; by then the server has noticed the end of the first one.
    for (let n = 0; n < 2; n += 1) await client.execute("SELECT 1");
    held?.();
    await client.execute("INSERT INTO t VALUES (2)");
    expect((await client.execute("SELECT a FROM t")).rows.map((row) => row.a)).toEqual([2n]);
  });

  test("closing a stream rolls back, and a baton is good for one request only", async () => {
    const { url } = await serve();
    await clientOf(url).execute("CREATE TABLE t (a)");
    const first = await pipeline(url, { requests: [execute("BEGIN"), execute("INSERT INTO t VALUES (1)")] });
    const second = await pipeline(
      url,
      { baton: first.json.baton, requests: [{ type: "get_autocommit" }] },
      "/v3/pipeline",
    );
    expect(second.json.results[0]).toMatchObject({ response: { is_autocommit: false } });
    expect((await pipeline(url, { baton: first.json.baton, requests: [] })).status).toBe(400);
    const third = await pipeline(url, { baton: second.json.baton, requests: [{ type: "close" }] });
    expect(third.json.baton).toBeNull();
    expect((await clientOf(url).execute("SELECT count(*) FROM t")).rows[0]?.[0]).toBe(0n);
  });

  test("state of one stream (PRAGMA, TEMP) is not seen by the next", async () => {
    const client = clientOf((await serve()).url);
    await client.execute("PRAGMA foreign_keys = off");
    await client.execute("CREATE TEMP TABLE secret (a)");
    expect((await client.execute("PRAGMA foreign_keys")).rows[0]?.[0]).toBe(1n);
    await expect(client.execute("SELECT * FROM secret")).rejects.toMatchObject({ code: "SQLITE_UNKNOWN" });
  });
});

describe("values", () => {
  test("every value SQLite can hold comes back exactly, with its type", async () => {
    const client = clientOf((await serve()).url);
    await client.execute("CREATE TABLE v (x)");
    const value = fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      // Without -0, which the client itself writes as 0.
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
      fc.string({ unit: "binary", maxLength: 40 }),
      fc.uint8Array({ maxLength: 40 }),
      fc.constant(null),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 50 }), async (values) => {
        const row = `SELECT ${values.map((_, at) => `? AS c${at}`).join(", ")}`;
        const { rows } = await client.execute({ sql: row, args: values });
        const back = values.map((_, at) => rows[0]?.[at]);
        expect(back.map((one) => (one instanceof ArrayBuffer ? new Uint8Array(one) : one))).toEqual(values);
      }),
      { numRuns: 25 },
    );
  });

  test("infinity arrives as infinity, and a column's changed shape is seen at once", async () => {
    const client = clientOf((await serve()).url);
    expect((await client.execute("SELECT 9e999 AS a, -9e999 AS b")).rows[0]).toMatchObject({
      a: Infinity,
      b: -Infinity,
    });
    await client.executeMultiple("CREATE TABLE t (a); INSERT INTO t VALUES (1);");
    await client.execute("SELECT * FROM t");
    const native = createNativeClient({ url: `file:${workspace.file}`, timeout: 5000 });
    await native.execute("ALTER TABLE t ADD COLUMN b DEFAULT 2");
    native.close();
    expect((await client.execute("SELECT * FROM t")).columns).toEqual(["a", "b"]);
  });
});

describe("protocol", () => {
  test("a wrong or missing bearer token is 401 and nothing is run", async () => {
    const { url } = await serve({ authToken: "right" });
    for (const token of [undefined, "wrong", "righ", "right2"])
      await expect(clientOf(url, token).execute("CREATE TABLE t (a)")).rejects.toMatchObject({
        code: "SERVER_ERROR",
        cause: { status: 401 },
      });
    expect((await clientOf(url, "right").execute("SELECT count(*) FROM sqlite_schema")).rows[0]?.[0]).toBe(
      0n,
    );
  });

  test("stored texts, sequences and describe", async () => {
    const { url } = await serve();
    const script =
      "CREATE TABLE t (a INTEGER, b TEXT); -- c\n;INSERT INTO t VALUES (1, ';'); INSERT INTO t VALUES (2, 'x')";
    const { json } = await pipeline(url, {
      requests: [
        { type: "store_sql", sql_id: 7, sql: script },
        { type: "sequence", sql_id: 7 },
        { type: "close_sql", sql_id: 7 },
        { type: "sequence", sql_id: 7 },
        { type: "describe", sql: "SELECT a AS one, b FROM t WHERE a = ?2 AND b = :name" },
        { type: "describe", sql: "INSERT INTO t VALUES (1, 2)" },
        execute("SELECT count(*) FROM t"),
        { type: "close" },
      ],
    });
    expect(json.baton).toBeNull();
    expect(json.results.map(({ type }) => type)).toEqual(["ok", "ok", "ok", "error", "ok", "ok", "ok", "ok"]);
    expect(json.results[4]).toMatchObject({
      response: {
        result: {
          params: [{ name: null }, { name: "?2" }, { name: ":name" }],
          cols: [
            { name: "one", decltype: "INTEGER" },
            { name: "b", decltype: "TEXT" },
          ],
          is_explain: false,
          is_readonly: true,
        },
      },
    });
    expect(json.results[5]).toMatchObject({ response: { result: { is_readonly: false } } });
    expect(json.results[6]).toMatchObject({
      response: { result: { rows: [[{ type: "integer", value: "2" }]] } },
    });
  });

  test("a batch follows its conditions", async () => {
    const { url } = await serve();
    const step = (text: string, condition?: unknown) => ({ stmt: { sql: text }, condition });
    const steps = [
      step("SELECT 0"),
      step("SELECT nope"),
      step("SELECT 2", { type: "ok", step: 1 }),
      step("SELECT 3", { type: "error", step: 1 }),
      step("SELECT 4", { type: "and", conds: [{ type: "ok", step: 0 }, { type: "is_autocommit" }] }),
      step("SELECT 5", { type: "or", conds: [] }),
      step("SELECT 6", { type: "not", cond: { type: "ok", step: 2 } }),
    ];
    const { json } = await pipeline(url, { requests: [{ type: "batch", batch: { steps } }] }, "/v3/pipeline");
    const result = json.results[0]?.response.result;
    expect(result?.step_results.map((one) => one !== null)).toEqual([
      true,
      false,
      false,
      true,
      true,
      false,
      true,
    ]);
    expect(result?.step_errors.map((one) => one !== null)).toEqual([
      false,
      true,
      false,
      false,
      false,
      false,
      false,
    ]);

    const response = await fetch(`${url}/v3/cursor`, {
      method: "POST",
      body: JSON.stringify({ batch: { steps } }),
    });
    const entries = (await response.text())
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(entries.map(({ type, step: at }) => `${type} ${at}`).slice(1, 6)).toEqual([
      "step_begin 0",
      "row undefined",
      "step_end undefined",
      "step_error 1",
      "step_begin 3",
    ]);
  });

  test("an invalid request gets a 4xx, and the server continues", async () => {
    const { url } = await serve();
    const bad = [
      "",
      "{",
      "[]",
      "null",
      '{"requests":[{"type":"x"}]}',
      '{"requests":[{"type":"execute","stmt":{"sql":1}}]}',
    ];
    for (const body of bad) expect((await pipeline(url, body)).status, body).toBe(400);
    const huge = `{"requests":[{"type":"execute","stmt":{"sql":"select 1","args":[{"type":"integer","value":"9${"9".repeat(18)}"}]}}]}`;
    expect((await pipeline(url, huge)).status).toBe(400);
    expect((await pipeline(url, " ".repeat(33 * 1024 * 1024))).status).toBe(413);
    expect((await fetch(`${url}/v3-protobuf`)).status).toBe(404);
    expect((await fetch(`${url}/v2/pipeline`)).status).toBe(405);
    let depth = '{"type":"is_autocommit"}';
    for (let i = 0; i < 5000; i += 1) depth = `{"type":"not","cond":${depth}}`;
    const nested = `{"requests":[{"type":"batch","batch":{"steps":[{"stmt":{"sql":"select 1"},"condition":${depth}}]}}]}`;
    expect((await pipeline(url, nested)).status).toBeLessThan(500);

    const { port } = new URL(url);
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.boolean(),
        async (bytes, headed) => {
          const socket = connect(Number(port), "127.0.0.1");
          const body = headed
            ? `POST /v2/pipeline HTTP/1.1\r\nhost: x\r\ncontent-length: ${bytes.length}\r\n\r\n`
            : "";
          socket.on("error", () => undefined).resume();
          socket.end(Buffer.concat([Buffer.from(body), bytes]));
          await once(socket, "close");
        },
      ),
      { numRuns: 60 },
    );
    expect((await clientOf(url).execute("SELECT 1 AS one")).rows[0]?.one).toBe(1n);
  });

  test("the hook counts statements and can fail a request before anything is run", async () => {
    const seen: number[] = [];
    let away = false;
    const { url } = await serve({
      onRequest: ({ statements }) => {
        seen.push(statements);
        if (away) throw new Error("away");
      },
    });
    const client = clientOf(url);
    await client.execute("CREATE TABLE t (a)");
    away = true;
    await expect(client.execute("INSERT INTO t VALUES (1)")).rejects.toBeInstanceOf(LibsqlError);
    away = false;
    await client.batch(["SELECT 1", "SELECT 2"]);
    expect((await client.execute("SELECT count(*) FROM t")).rows[0]?.[0]).toBe(0n);
    // A batch of two: BEGIN, two statements, COMMIT, ROLLBACK.
    expect(seen).toEqual([1, 1, 5, 1]);
  });

  test("closing does not wait for open transactions or idle connections", async () => {
    const server = await serve();
    const client = clientOf(server.url);
    await client.execute("CREATE TABLE t (a)");
    const transaction = await client.transaction("write");
    await transaction.execute("INSERT INTO t VALUES (1)");
    const waiting = client.execute("INSERT INTO t VALUES (2)").catch((error: unknown) => error);
    const before = performance.now();
    await server.close();
    expect(performance.now() - before).toBeLessThan(2000);
    expect(await waiting).toBeInstanceOf(Error);
    const again = await serve();
    expect((await clientOf(again.url).execute("SELECT count(*) FROM t")).rows[0]?.[0]).toBe(0n);
  });
});
