import * as fs from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { type Client, createClient } from "@libsql/client";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import { migrate } from "#core/db/migrate";
import * as Wire from "#core/db/wire";
import * as Setting from "#core/setting";
import { absoluteDatabaseUrl, databaseUrl, home } from "#local/home/home";
import * as SqliteFile from "#local/home/sqlite-file";
import * as Links from "./links.ts";

/** A database that is open for a command, and the stage's secrets that go with it. */
interface Opened {
  readonly db: Database.Db;
  readonly url: string;
  /** True for the local loop, or a server like it; false for a stage. */
  readonly isFile: boolean;
  pepper(): string;
  /** The stage's webhook secrets: they sign for keys without their own secret, and the others are derived from them. */
  webhookSecrets(): readonly string[];
}

/** Other processes write to the same file: wait for them, libSQL itself would not. */
const busyTimeoutMs = 5_000;

/** Where a command's database is, checked like `npm start` does. */
interface Place {
  readonly url: string;
  /** The absolute path of a file; undefined for a server. */
  readonly path: string | undefined;
  readonly authToken: string | undefined;
}

/**
 * The database of `--db`, else of the environment (a stage's under `sst shell`), else the local loop's. Nothing is opened.
 * Throws ConfigError with what the setting takes, UsageError for a wrong `--db` and for a stage without one, HomeError for
 * a file that is something else.
 */
export function locate({ env, cwd }: Pick<Context, "env" | "cwd">, db?: string): Place {
  const { DATABASE_URL: schema } = Setting.settings.database;
  if (db && !schema.safeParse(db).success)
    throw new UsageError(`--db is not valid: it takes ${Setting.takes(schema)}`);
  if (!db) Links.demand(env, "DATABASE_URL");
  // An empty value and AUTH_DB_PATH need no check.
  const { DATABASE_AUTH_TOKEN: authToken } = Config.parse("database", {
    ...env,
    DATABASE_URL: db || env.DATABASE_URL || "file:",
  });
  const url = db ? absoluteDatabaseUrl(db, cwd) : databaseUrl(env);
  const path = url.startsWith("file:") ? fileURLToPath(url) : undefined;
  if (path !== undefined) SqliteFile.refuseOther(path);
  return { url, path, authToken };
}

/** A client of it, for the caller to close. */
export const connect = ({ url, authToken }: Place): Client =>
  createClient({
    url,
    ...(authToken === undefined ? {} : { authToken }),
    timeout: busyTimeoutMs,
    fetch: Wire.fetcher(undefined),
  });

/**
 * Opens the database, brings a file to the current schema and closes it again. A server's schema is changed by
 * `init-db` alone. Throws UsageError and AppError.
 */
export async function withDatabase(
  context: Context,
  options: { db?: string | undefined },
  { create }: { create: boolean },
  work: (opened: Opened) => Promise<void>,
): Promise<void> {
  const { env } = context;
  const place = locate(context, options.db);
  if (!options.db) Links.demand(env, "API_KEY_PEPPER");
  const { url, path } = place;
  const isFile = path !== undefined;
  if (isFile) {
    if (!create && !fs.existsSync(path))
      throw new UsageError(`there is no database ${path}: make it with keys init-db`);
    fs.mkdirSync(dirname(path), { recursive: true });
  }
  const pepper = () => {
    const given = Config.parse("auth", env).API_KEY_PEPPER;
    if (given === undefined && !isFile)
      throw new UsageError(
        "API_KEY_PEPPER is not set: a database server's keys need the pepper of its stage",
      );
    return given ?? home(env).pepper();
  };
  const webhookSecrets = () => {
    const given = Config.parse("webhook", env).WEBHOOK_SECRET;
    return given.length > 0 || !isFile ? given : [home(env).webhookSecret()];
  };
  const client = connect(place);
  try {
    const db = Database.wrap(client);
    if (isFile || create) await Database.guard(() => migrate(db));
    await work({ db, url, isFile, pepper, webhookSecrets });
  } finally {
    client.close();
  }
}
