import { appendFileSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import type { Client } from "@libsql/client/http";
import { bounds, small } from "./plans-allowed.ts";

/*
 * No statement of the product may read more rows because there is more history: a database that bills rows read would
 * cost more every month, and a minute's housekeeping would take ever longer. Every test that opens a database of its
 * own (test/support/test-database.ts) therefore asks SQLite how it would carry out each statement that core sends, and
 * fails at the first one that would scan a table, or select rows whose number is not bounded in plans-allowed.ts.
 */

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Statements that were judged in this process, and the places in core that sent one. */
const judged = new Set<string>();
const sites = new Set<string>();

let explainer: DatabaseSync | undefined;

/** An empty database with the schema of the migrations: plans do not depend on rows, because ANALYZE is never run. */
function migrated(): DatabaseSync {
  const db = new DatabaseSync(":memory:");
  const folder = join(root, "core", "db", "migrations");
  for (const file of globSync("*.sql", { cwd: folder }).toSorted())
    db.exec(readFileSync(join(folder, file), "utf8"));
  return db;
}

/** How SQLite would carry a statement out: the `detail` lines of EXPLAIN QUERY PLAN. */
export function planOf(sql: string): string[] {
  explainer ??= migrated();
  const statement = explainer.prepare(`EXPLAIN QUERY PLAN ${sql}`);
  return statement.all().map(({ detail }) => String(detail));
}

/**
 * What is wrong with a plan; undefined when nothing is.
 * - A table may be scanned (SCAN) only if it is small, by a partial index of the list, or under a LIMIT in the order of
 *   an index of the list.
 * - A search must be on the list, with a reason why its columns select few rows.
 */
export function fault(sql: string, plan: readonly string[]): string | undefined {
  const inOrder =
    /\blimit\b/i.test(sql) && !plan.some((line) => /^USE TEMP B-TREE FOR .*ORDER BY/.test(line));
  for (const line of plan) {
    const [, table = "", index] = /^SCAN (\S+)(?: USING (?:COVERING )?INDEX (\S+))?/.exec(line) ?? [];
    if (table !== "") {
      if (passing.test(table) || small[table] !== undefined) continue;
      const whole = index === undefined ? undefined : bounds[index];
      if (whole === undefined) return `goes through ${table}`;
      if (whole.startsWith("in order:") && !inOrder)
        return `sorts all of ${index}, of which it may read the first rows only`;
    }
    if (!/^(SEARCH|SCAN)/.test(line)) continue;
    // The least or greatest value of an index: its first entry.
    if (/^SEARCH \S+ USING (?:COVERING )?INDEX \S+$/.test(line)) continue;
    const found = /^SEARCH \S+ (?:EXISTS )?USING (?:COVERING )?(?:INDEX )?(.+?) \((.+)\)/.exec(line);
    if (found === null && table !== "") continue;
    if (found === null) return `is executed in a way that test/support/plans.ts cannot judge: ${line}`;
    const [, by = "", columns = ""] = found;
    const key = `${by} ${columns.replaceAll(" AND ", " ")}`;
    const bound = bounds[key];
    if (bound === undefined) return `searches ${key}, which is not in test/support/plans-allowed.ts`;
    if (bound.startsWith("in order:") && !inOrder)
      return `sorts all of ${key}, of which it may read the first rows only`;
  }
  return undefined;
}

/** Temporary tables of the statement, and lists in its parameters. */
const passing = /^(CONSTANT|json_each|seen|mine|descendant|keys|\(subquery-\d+\))$/;

/** The first frame behind core/db/database.ts: who sent the statement; undefined for tests' own statements. */
function senderOf(stack: string): string | undefined {
  const frames = stack.split("\n").map((line) => line.replaceAll("\\", "/"));
  const door = frames.findLastIndex((line) => line.includes("/core/db/database.ts"));
  const frame = door < 0 ? undefined : frames[door + 1];
  return frame === undefined ? undefined : /\/(core\/[\w./-]+\.ts:\d+):\d+/.exec(frame)?.[1];
}

function look(statements: readonly { sql: string }[]): void {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 60;
  const { stack = "" } = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  const site = senderOf(stack);
  if (site === undefined || /\.test\.ts:/.test(site)) return;
  if (!sites.has(site)) {
    sites.add(site);
    const list = process.env.OCRLTY_TEST_SITES;
    if (list !== undefined) appendFileSync(list, `${site}\n`);
  }
  for (const { sql } of statements) {
    if (judged.has(sql)) continue;
    const plan = planOf(sql);
    const problem = fault(sql, plan);
    if (problem !== undefined)
      throw new Error(`${site} sends a statement that ${problem}:\n${sql}\n${plan.join("\n")}`);
    judged.add(sql);
  }
}

/** The places in core, as `file:line`, that have sent a statement through `watch` in this process. */
export const senders = (): ReadonlySet<string> => sites;

/** Looks at every statement that core sends by this client, before it is sent. */
export function watch(client: Client): void {
  const { batch, execute } = client;
  client.batch = (statements, mode) => {
    look(statements.map((each) => each as { sql: string }));
    return batch.call(client, statements, mode);
  };
  client.execute = ((...args: Parameters<Client["execute"]>) => {
    const [first] = args as unknown as [string | { sql: string }];
    look([typeof first === "string" ? { sql: first } : first]);
    return execute.apply(client, args);
  }) as Client["execute"];
}
