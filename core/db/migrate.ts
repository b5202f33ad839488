import { fileURLToPath } from "node:url";
import { migrate as apply } from "drizzle-orm/libsql/migrator";
import type { Db } from "./database.ts";

/** The folder of the committed migrations; only scripts and the local loop read them. */
const folder = fileURLToPath(new URL("./migrations", import.meta.url));

/**
 * Brings the database to the current schema. May be called at any time, also by two programs at once: the second one
 * finds the migrations applied.
 */
export async function migrate(db: Db): Promise<void> {
  try {
    await apply(db.query, { migrationsFolder: folder });
  } catch {
    await apply(db.query, { migrationsFolder: folder });
  }
}
