import * as fs from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { type Client, createClient } from "@libsql/client";
import { Command } from "commander";
import * as z from "zod";
import * as Links from "#cli/server/links";
import { type Context, type Exit, exit } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Database from "#core/db/database";
import { migrate as apply } from "#core/db/migrate";
import * as Wire from "#core/db/wire";
import { absoluteDatabaseUrl, databaseUrl } from "#local/home/home";

interface Options {
  json?: boolean;
  db?: string;
}

const about = `
The database is --db, else the stage's under \`sst shell\`, else DATABASE_URL (with DATABASE_AUTH_TOKEN), else the local
loop's own. Migrations that were applied before are left alone, so it may be run at any time; functions of the version
before keep working on the new schema.`;

/** `migrate`: brings a database to the schema of this version. */
export function command(context: Context, done: (status: Exit) => void): Command {
  return Help.add(new Command("migrate").description("bring a database to the current schema"), {
    about,
    examples: [
      "npm run ocrlty -- migrate",
      "npx sst shell --stage staging -- node scripts/launch.mjs ocrlty migrate",
      "npm run ocrlty -- migrate --db libsql://ocrlty-you.turso.io",
    ],
    exits: { 0: "done", 2: "usage or database" },
  })
    .option("--json", "JSON on stdout")
    .option("--db <file-or-url>", "the database (default: DATABASE_URL, else the local loop's)")
    .action(async (options: Options) => done(await migrate(context, options)));
}

/** Another program may hold a file for a moment; libSQL itself would not wait. */
const busyTimeoutMs = 5_000;

async function migrate(context: Context, options: Options): Promise<Exit> {
  const { env } = context;
  if (!options.db) Links.demand(env, "DATABASE_URL");
  const url = options.db ? absoluteDatabaseUrl(options.db, context.cwd) : databaseUrl(env);
  const path = url.startsWith("file:") ? fileURLToPath(url) : undefined;
  if (path !== undefined) fs.mkdirSync(dirname(path), { recursive: true });
  const client = createClient({
    url,
    ...(env.DATABASE_AUTH_TOKEN ? { authToken: env.DATABASE_AUTH_TOKEN } : {}),
    timeout: busyTimeoutMs,
    fetch: Wire.fetcher(undefined),
  });
  try {
    const { before, after } = await Database.guard(async () => {
      const before = await applied(client);
      await apply(Database.wrap(client));
      return { before, after: await applied(client) };
    });
    const facts = { database: path ?? new URL(url).host, applied: after - before, total: after };
    const text = `${facts.database}: ${facts.applied} migrations applied, ${facts.total} in all\n`;
    context.out(options.json ? `${JSON.stringify(facts)}\n` : text);
    return exit.ok;
  } finally {
    client.close();
  }
}

const Count = z.object({ count: z.coerce.number() });

/** How many migrations the database knows; none when it is new. */
async function applied(client: Client): Promise<number> {
  // The table is drizzle's own and made by its first migration.
  const table = await client.execute("SELECT 1 FROM sqlite_master WHERE name = '__drizzle_migrations'");
  if (table.rows.length === 0) return 0;
  const { rows } = await client.execute("SELECT count(*) AS count FROM __drizzle_migrations");
  return Count.parse(rows[0]).count;
}
