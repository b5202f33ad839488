import * as fs from "node:fs";
import { dirname } from "node:path";
import type { Client } from "@libsql/client";
import { Command } from "commander";
import * as z from "zod";
import * as ServerDatabase from "#cli/server/database";
import { type Context, type Exit, exit } from "#cli/terminal/context";
import * as Help from "#cli/terminal/help";
import * as Database from "#core/db/database";
import { migrate as apply } from "#core/db/migrate";

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

async function migrate(context: Context, options: Options): Promise<Exit> {
  const place = ServerDatabase.locate(context, options.db);
  const { url, path } = place;
  if (path !== undefined) fs.mkdirSync(dirname(path), { recursive: true });
  const client = ServerDatabase.connect(place);
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

/** The number of migrations that the database has; 0 when it is new. */
async function applied(client: Client): Promise<number> {
  // The table is drizzle's own and made by its first migration.
  const table = await client.execute("SELECT 1 FROM sqlite_master WHERE name = '__drizzle_migrations'");
  if (table.rows.length === 0) return 0;
  const { rows } = await client.execute("SELECT count(*) AS count FROM __drizzle_migrations");
  return Count.parse(rows[0]).count;
}
