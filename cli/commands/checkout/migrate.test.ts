import * as fs from "node:fs";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { afterEach, beforeEach, expect, test } from "vitest";
import { withLinks } from "#cli/server/links";
import { exit } from "#cli/terminal/context";
import * as SqlServer from "#local/sql/server";
import { type Cli, open } from "#test/support/batch-cli";

let cli: Cli;
const closing: (() => Promise<void> | void)[] = [];
beforeEach(() => {
  cli = open();
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  cli.remove();
});

const ocrlty = (args: string[], env: Record<string, string> = {}) =>
  cli.run(args, { env: withLinks(env) as Record<string, string> });

const migrations = fs
  .readdirSync(new URL("../../../core/db/migrations", import.meta.url))
  .filter((name) => name.endsWith(".sql")).length;

test("a new database gets every migration, and a second run none", async () => {
  const first = await ocrlty(["migrate", "--db", "new/keys.db", "--json"]);
  expect(first.status).toBe(exit.ok);
  expect(JSON.parse(first.stdout)).toEqual({
    database: join(cli.dir, "new", "keys.db"),
    applied: migrations,
    total: migrations,
  });
  const client = createClient({ url: `file:${join(cli.dir, "new", "keys.db")}` });
  closing.push(() => client.close());
  expect((await client.execute("SELECT count(*) AS n FROM extract")).rows[0]?.n).toBe(0);
  const second = await ocrlty(["migrate", "--db", "new/keys.db", "--json"]);
  expect(JSON.parse(second.stdout)).toMatchObject({ applied: 0, total: migrations });
});

test("under sst shell the stage's database server is migrated, and keys are made there", async () => {
  const authToken = "token-of-the-stage";
  const server = await SqlServer.start({ file: join(cli.dir, "server.db"), authToken });
  closing.push(() => server.close());
  const linked = {
    SST_RESOURCE_App: JSON.stringify({ name: "ocrlty", stage: "staging" }),
    SST_RESOURCE_Database: JSON.stringify({ DATABASE_URL: server.url, DATABASE_AUTH_TOKEN: authToken }),
    SST_RESOURCE_Auth: JSON.stringify({ API_KEY_PEPPER: "a pepper of the stage" }),
    DATABASE_URL: "file:elsewhere.db",
  };
  const migrated = await ocrlty(["migrate"], linked);
  expect(migrated.stderr).toBe("");
  expect(migrated.stdout).toMatch(`${migrations} migrations applied, ${migrations} in all`);
  const made = await ocrlty(["keys", "create-key", "--key-id", "first", "--role", "admin", "--json"], linked);
  expect(JSON.parse(made.stdout)).toMatchObject({ key_id: "first", role: "admin" });
  const listed = await ocrlty(["keys", "list-keys", "--json"], linked);
  expect(JSON.parse(listed.stdout)).toMatchObject({ key_id: "first" });
  expect(fs.existsSync(join(cli.dir, "elsewhere.db"))).toBe(false);
});

test("a database that is away ends in one line that holds no secret, and 2", async () => {
  const { status, stdout, stderr } = await ocrlty(["migrate"], {
    DATABASE_URL: "http://127.0.0.1:9",
    DATABASE_AUTH_TOKEN: "canary-token",
  });
  expect({ status, stdout }).toEqual({ status: exit.failed, stdout: "" });
  expect(stderr).toMatch(/^error: .+\n$/);
  expect(stderr).not.toContain("canary");
});
