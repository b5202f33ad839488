/**
 * Holds a folder for one loop at a time. The lock is SQLite's own on `lock.db`: the operating system drops it
 * with the process, however that ends, on Linux, macOS and Windows alike, so there is no stale pid to judge.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

export interface Lock {
  release(): void;
}

/** Another process (or another loop of this one) works in the folder. */
export class HeldError extends Error {
  override readonly name = "HeldError";
}

/** Takes the folder, which is made if missing. Throws HeldError at once if another loop has it. */
export function acquire(dir: string): Lock {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(join(dir, "lock.db"), { timeout: 0 });
  try {
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (!(error instanceof Error && /locked|busy/i.test(error.message))) throw error;
    throw new HeldError(`another loop runs in ${dir}: stop it, or set OCRLTY_HOME to another folder`, {
      cause: error,
    });
  }
  let held = true;
  return {
    release: () => {
      if (!held) return;
      held = false;
      database.exec("ROLLBACK");
      database.close();
    },
  };
}
