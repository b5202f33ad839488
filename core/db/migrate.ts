import { fileURLToPath } from "node:url";
import { migrate as apply } from "drizzle-orm/libsql/migrator";
import type { Db } from "./database.ts";

/** Where the committed migrations lie; only scripts and the local loop read them, functions never do. */
const folder = fileURLToPath(new URL("./migrations", import.meta.url));

/**
 * Brings the database to the current schema. May be called at any time and by two programs at once: the loser
 * of a race finds the work done when it looks again.
 */
export async function migrate(db: Db): Promise<void> {
  try {
    await apply(db.query, { migrationsFolder: folder });
  } catch {
    await apply(db.query, { migrationsFolder: folder });
  }
}
