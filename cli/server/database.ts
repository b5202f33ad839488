import * as fs from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { createClient } from "@libsql/client";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import { migrate } from "#core/db/migrate";
import * as Wire from "#core/db/wire";
import { absoluteDatabaseUrl, databaseUrl, home } from "#local/home/home";
import * as Links from "./links.ts";

/** A database that is open for a command, and the stage's secrets that go with it. */
export interface Opened {
  readonly db: Database.Db;
  readonly url: string;
  /** Of the local loop, or of one that works as it does, not a stage's. */
  readonly isFile: boolean;
  pepper(): string;
  /** What webhooks of keys without a secret of their own are signed with, and the others' are made of. */
  webhookSecrets(): readonly string[];
}

/** Other processes write to the same file: wait for them, libSQL itself would not. */
const busyTimeoutMs = 5_000;

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
  if (!options.db)
    for (const variable of ["DATABASE_URL", "API_KEY_PEPPER"] as const) Links.demand(env, variable);
  const url = options.db ? absoluteDatabaseUrl(options.db, context.cwd) : databaseUrl(env);
  const isFile = url.startsWith("file:");
  if (isFile) {
    const path = fileURLToPath(url);
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
  const client = createClient({
    url,
    ...(env.DATABASE_AUTH_TOKEN ? { authToken: env.DATABASE_AUTH_TOKEN } : {}),
    timeout: busyTimeoutMs,
    fetch: Wire.fetcher(undefined),
  });
  try {
    const db = Database.wrap(client);
    if (isFile || create) await Database.guard(() => migrate(db));
    await work({ db, url, isFile, pepper, webhookSecrets });
  } finally {
    client.close();
  }
}
