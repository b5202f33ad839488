import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient as createNativeClient, type InArgs, LibsqlError } from "@libsql/client";
import { createClient } from "@libsql/client/web";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SqlServer, start } from "#local/sql/server";

/**
 * The same statements, in order, against this server and against libSQL's own engine on a file. Left out are known
 * differences, where this server does what Turso does (several statements in one text and none are errors; every
 * parameter needs a value), and faults of the native client (text after a NUL, row ids above 2^53, VACUUM and DROP
 * after a cached statement, RETURNING's count).
 */
const script: [sql: string, args?: InArgs][] = [
  ["CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT UNIQUE, c REAL, d BLOB, e)"],
  [
    "INSERT INTO t (b, c, d, e) VALUES (?, ?, ?, ?)",
    ["x", 1.5, new Uint8Array([0, 255]).buffer, 9007199254740993n],
  ],
  ["INSERT INTO t VALUES (?, ?, ?, ?, ?)", [20, "ü😀", 1e308, new ArrayBuffer(0), null]],
  ["INSERT INTO t VALUES (?, ?, ?, ?, ?)", [-9223372036854775808n, "", -0.0, null, true]],
  ["INSERT INTO t VALUES (?, ?, ?, ?, ?)", [3, "num", 5e-324, null, 9223372036854775807n]],
  ["INSERT INTO t (b, e) VALUES (:b, @e)", { b: "n1", e: "q" }],
  ["INSERT INTO t (b, e) VALUES ($b, $b)", { $b: "n2" }],
  ["INSERT INTO t (b, e) VALUES (:b, :b)", { ":b": null }],
  ["SELECT *, typeof(a), typeof(c), typeof(e) FROM t ORDER BY a"],
  ["SELECT 1 AS x, 2 AS x"],
  ["SELECT * FROM t WHERE 0"],
  ["SELECT ?2, ?1, ?2", [1, "two"]],
  ["SELECT ?, ?2, ?", ["a", "b", "c"]],
  ["SELECT ?3, ?", [1, 2, 3, 4]],
  ["SELECT 'a?', [$q], `?`, ? -- ?\n FROM (SELECT 1 AS [$q], 2 AS `?`) /* :z */", [1]],
  ["SELECT a$b FROM (SELECT 1 AS a$b)"],
  ["INSERT INTO t (b) VALUES ('x')"],
  ["INSERT INTO t (b) VALUES ('x') ON CONFLICT (b) DO UPDATE SET e = 1"],
  ["INSERT OR IGNORE INTO t (b) VALUES ('x')"],
  ["INSERT OR REPLACE INTO t (a, b) VALUES (3, 'num')"],
  ["UPDATE t SET e = 0"],
  ["UPDATE t SET e = 1 WHERE 0"],
  ["DELETE FROM t WHERE b = 'n1' RETURNING a, b"],
  ["INSERT INTO t (b) VALUES ('r1'), ('r2') RETURNING *"],
  ["UPDATE t SET e = a || ? WHERE a IN (?, ?) RETURNING e", ["!", 3, 20]],
  ["DELETE FROM t"],
  ["SELECT * FROM nope"],
  ["selec"],
  ["SELECT 1; -- c"],
  ["SELECT 1;;"],
  ["CREATE TABLE p (id INTEGER PRIMARY KEY)"],
  ["CREATE TABLE q (id INTEGER NOT NULL REFERENCES p(id), n TEXT NOT NULL CHECK (length(n) < 3)) STRICT"],
  ["INSERT INTO q VALUES (1, 'a')"],
  ["INSERT INTO p VALUES (1)"],
  ["INSERT INTO q VALUES (1, NULL)"],
  ["INSERT INTO q VALUES (1, 'abc')"],
  ["INSERT INTO q VALUES ('x', 'a')"],
  ["INSERT INTO q VALUES (1, 'a')"],
  ["DELETE FROM p"],
  ["INSERT INTO p VALUES ('x')"],
  ["CREATE TABLE l (m)"],
  [
    "CREATE TRIGGER tr AFTER INSERT ON p BEGIN INSERT INTO l VALUES (new.id); INSERT INTO l VALUES (new.id); END",
  ],
  ["INSERT INTO p VALUES (9)"],
  ["SELECT changes(), last_insert_rowid(), (SELECT count(*) FROM l)"],
  [
    "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 5) SELECT i, sum(i) OVER (ORDER BY i) FROM r",
  ],
  ["SELECT json_extract('{\"a\":[1,2]}', '$.a[1]'), json('{\"b\":1}')"],
  ["SELECT 1/0, 1.0/3, 9e999, -9e999, 9223372036854775807, 1e3, 100.0, abs(-5)"],
  ["SELECT x'', zeroblob(3), 'a' || NULL, 'it''s' AS \"we ird\""],
  ["SELECT abs(-9223372036854775808)"],
  ["ALTER TABLE t ADD COLUMN z DEFAULT 'zz'"],
  ["INSERT INTO t (b) VALUES ('alt')"],
  ["SELECT * FROM t"],
  ["CREATE VIEW v AS SELECT a, z FROM t"],
  ["SELECT * FROM v"],
  ["CREATE TABLE w (k TEXT PRIMARY KEY, n) WITHOUT ROWID"],
  ["INSERT INTO w VALUES ('k', 1)"],
  ["COMMIT"],
  ["CREATE TABLE t (a)"],
  ["INSERT INTO t (b) SELECT 'c' || value FROM json_each('[1,2,3]')"],
  ["SELECT count(*), max(a), min(b), avg(c) FROM t"],
  ["SELECT * FROM t WHERE b IN (?, ?)", ["c1", "c2"]],
  ["SELECT ? AS d", [new Date(5)]],
  // Comes last, because this server does not reuse a connection that a PRAGMA has changed.
  ["PRAGMA table_info(t)"],
  ["PRAGMA user_version"],
];

let dir: string;
let server: SqlServer;
let remote: Client;
let native: Client;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "ocrlty-sql-"));
  server = await start({ file: join(dir, "remote.sqlite") });
  remote = createClient({ url: server.url, intMode: "bigint" });
  native = createNativeClient({
    url: `file:${join(dir, "native.sqlite")}`,
    intMode: "bigint",
    concurrency: 1,
  });
  await native.execute("PRAGMA foreign_keys = on");
});

afterAll(async () => {
  remote.close();
  native.close();
  await server.close();
  await rm(dir, { recursive: true, force: true, maxRetries: 5 });
});

async function outcome(client: Client, sql: string, args: InArgs = []) {
  try {
    const { columns, columnTypes, rows, rowsAffected, lastInsertRowid } = await client.execute({ sql, args });
    const values = rows.map((row) => Array.from(row));
    // The native client has no such values for a statement that returns rows.
    return columns.length > 0 ? { columns, columnTypes, values } : { rowsAffected, lastInsertRowid };
  } catch (error) {
    if (!(error instanceof LibsqlError)) throw error;
    // SQLite has one error code for these, the server has several.
    const plain = (text: string) => text.replace(/^(SQLITE_UNKNOWN|SQL_PARSE_ERROR)/, "SQLITE_ERROR");
    return { code: plain(error.code), message: plain(error.message.replace("SQLite error: ", "")) };
  }
}

describe("the same answer as libSQL's own engine", () => {
  test("rows, columns, types, counts, row ids and errors of a long script", async () => {
    for (const [sql, args] of script)
      expect(await outcome(remote, sql, args), sql).toEqual(await outcome(native, sql, args));
  });
});

describe("as strict as Turso", () => {
  test.each([
    ["", [], "SQL_NO_STATEMENT"],
    ["-- nothing", [], "SQL_NO_STATEMENT"],
    ["SELECT 1; SELECT 2", [], "SQL_MANY_STATEMENTS"],
    ["SELECT ?, ?", [1], "ARGS_INVALID"],
    ["SELECT ?", [1, 2], "ARGS_INVALID"],
    ["SELECT :a, :b", { a: 1 }, "ARGS_INVALID"],
    ["SELECT :a", [1], "ARGS_INVALID"],
  ] as [string, InArgs, string][])("%s with %j is %s", async (sql, args, code) => {
    await expect(remote.execute({ sql, args })).rejects.toMatchObject({ code });
  });

  test("NUL in texts, large row ids and RETURNING's count, where the native client loses something", async () => {
    await remote.execute("CREATE TABLE x (a INTEGER PRIMARY KEY, b)");
    const first = await remote.execute({
      sql: "INSERT INTO x VALUES (?, ?)",
      args: [2n ** 63n - 1n, "a\0b"],
    });
    expect(first.lastInsertRowid).toBe(2n ** 63n - 1n);
    const second = await remote.execute("INSERT INTO x VALUES (1, 1), (2, 2) RETURNING a");
    expect(second.rowsAffected).toBe(2);
    expect((await remote.execute("SELECT b FROM x ORDER BY a DESC LIMIT 1")).rows[0]?.b).toBe("a\0b");
  });
});
