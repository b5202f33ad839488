import * as fs from "node:fs";
import { HomeError } from "./home.ts";

/** How each file of SQLite begins (https://www.sqlite.org/fileformat.html, 1.3). */
const magic = "SQLite format 3\0";

/**
 * Refuses a file that is not a database, before anything is written to it. A missing or empty file becomes a database.
 * Throws HomeError.
 */
export function refuseOther(path: string): void {
  const stat = fs.statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || (stat.isFile() && stat.size === 0)) return;
  if (!stat.isFile() || beginningOf(path, magic.length) !== magic)
    throw new HomeError(
      `${path} is not an SQLite database: name another file (DATABASE_URL, or --db of a command)`,
    );
}

function beginningOf(path: string, bytes: number): string {
  const head = Buffer.alloc(bytes);
  try {
    const file = fs.openSync(path, "r");
    try {
      return head.toString("latin1", 0, fs.readSync(file, head, 0, bytes, 0));
    } finally {
      fs.closeSync(file);
    }
  } catch (error) {
    throw new HomeError(
      `cannot read ${path} (${error instanceof Error && "code" in error ? error.code : error})`,
    );
  }
}
