import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { createClient } from "@libsql/client/web";
import { eq, sql } from "drizzle-orm";
import { migrate } from "drizzle-orm/libsql/migrator";
import { drizzle } from "drizzle-orm/libsql/web";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import { useWorkspace } from "#test/support/sql-workspace";

const root = resolve(import.meta.dirname, "../..");
const workspace = useWorkspace();
const { serve, clientOf } = workspace;

/** A Node process that runs this module text beside the project's package.json and prints lines. */
function run(code: string): { child: ChildProcess; lines: AsyncIterator<string> } {
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", code],
    {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  workspace.atEnd(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  });
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

describe("drizzle", () => {
  const notes = sqliteTable("notes", { id: integer().primaryKey(), body: text().notNull().unique() });

  test("the migrator, queries and transactions work over HTTP", async () => {
    const folder = join(workspace.dir, "migrations");
    await mkdir(join(folder, "meta"), { recursive: true });
    const statements = [
      "CREATE TABLE `notes` (`id` integer PRIMARY KEY NOT NULL, `body` text NOT NULL)",
      "CREATE UNIQUE INDEX `notes_body_unique` ON `notes` (`body`)",
    ];
    await writeFile(join(folder, "0000_first.sql"), statements.join(";\n--> statement-breakpoint\n"));
    const entry = { idx: 0, version: "6", when: 1, tag: "0000_first", breakpoints: true };
    await writeFile(
      join(folder, "meta", "_journal.json"),
      JSON.stringify({ version: "7", dialect: "sqlite", entries: [entry] }),
    );
    const { url } = await serve();
    const db = drizzle(createClient({ url }));
    await migrate(db, { migrationsFolder: folder });
    await migrate(db, { migrationsFolder: folder });
    const [row] = await db.insert(notes).values({ body: "one" }).returning();
    expect(row).toEqual({ id: 1, body: "one" });
    await expect(db.insert(notes).values({ body: "one" })).rejects.toMatchObject({
      cause: { code: "SQLITE_CONSTRAINT" },
    });
    const undone = db.transaction(async (tx) => {
      await tx.insert(notes).values({ body: "two" });
      await tx
        .update(notes)
        .set({ body: sql`${notes.body} || '!'` })
        .where(eq(notes.id, 1));
      throw new Error("undo");
    });
    await expect(undone).rejects.toThrow("undo");
    expect(await db.select().from(notes)).toEqual([{ id: 1, body: "one" }]);
    const [inserted] = await db.batch([db.insert(notes).values({ body: "three" }), db.select().from(notes)]);
    expect(inserted.rowsAffected).toBe(1);
  });
});

describe("other processes", () => {
  test("kill -9 of the server loses nothing that was answered and keeps nothing half", async () => {
    const file = JSON.stringify(workspace.file);
    const { child, lines } = run(
      `import { start } from "#local/sql/server"; console.log((await start({ file: ${file} })).url);`,
    );
    const client = clientOf((await lines.next()).value);
    await client.executeMultiple("CREATE TABLE t (n INTEGER); CREATE TABLE u (n INTEGER)");
    const answered: number[] = [];
    const write = async () => {
      for (let n = answered.length; ; n += 1) {
        const pair = ["t", "u"].map((table) => ({ sql: `INSERT INTO ${table} VALUES (?)`, args: [n] }));
        await client.batch(pair, "write");
        answered.push(n);
        if (answered.length === 150) child.kill("SIGKILL");
      }
    };
    await expect(Promise.all([write(), write(), write()])).rejects.toBeInstanceOf(Error);
    if (child.signalCode === null) await once(child, "exit");
    const again = clientOf((await serve()).url);
    const [t, u] = await again.batch(["SELECT n FROM t ORDER BY n", "SELECT n FROM u ORDER BY n"]);
    const kept = t?.rows.map((row) => Number(row.n)) ?? [];
    expect(u?.rows.map((row) => Number(row.n))).toEqual(kept);
    for (const n of answered) expect(kept).toContain(n);
  });

  test("the native client in another process and this server write the same file without loss", async () => {
    const { file } = workspace;
    const client = clientOf((await serve()).url);
    await client.execute("CREATE TABLE t (who TEXT, n INTEGER)");
    const each = 300;
    const { child, lines } = run(`
      import { createClient } from "@libsql/client";
      const client = createClient({ url: ${JSON.stringify(`file:${file}`)}, timeout: 5000 });
      console.log("ready");
      for (let n = 0; n < ${each}; n += 1)
        await client.batch([{ sql: "INSERT INTO t VALUES ('native', ?)", args: [n] }], "write");
      client.close();`);
    await lines.next();
    const exit = once(child, "exit");
    const write = async (from: number) => {
      for (let n = from; n < each; n += 3)
        await client.execute({ sql: "INSERT INTO t VALUES ('http', ?)", args: [n] });
    };
    await Promise.all([write(0), write(1), write(2)]);
    expect((await exit)[0]).toBe(0);
    const { rows } = await client.execute(
      "SELECT who, count(DISTINCT n) AS n FROM t GROUP BY who ORDER BY who",
    );
    expect(rows.map(({ who, n }) => [who, Number(n)])).toEqual([
      ["http", each],
      ["native", each],
    ]);
  });
});
