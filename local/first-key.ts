import { createClient } from "@libsql/client/http";
import * as Database from "#core/db/database";
import { migrate } from "#core/db/migrate";
import * as Wire from "#core/db/wire";
import { AppError } from "#core/error";
import * as Key from "#core/key/key";
import type { Home } from "#local/home/home";

/** The key that the loop makes for its operator. */
const keyId = "local-admin";

/** How the loop reaches its database. */
export interface Access {
  readonly url: string;
  readonly authToken: string | undefined;
  /** How long a replaced secret stays valid: another folder may use the same remote database. */
  readonly overlapMs: number;
}

/**
 * Brings the database to the current schema, checks the pepper and makes sure that `api-key` in the folder contains a
 * valid key with role admin. Returns it; undefined if the operator has revoked it. Throws AppError if the pepper
 * differs or the database is unavailable.
 */
export async function ensure(home: Home, { url, authToken, overlapMs }: Access): Promise<string | undefined> {
  const db = Database.wrap(
    createClient({ url, fetch: Wire.fetcher(undefined), ...(authToken === undefined ? {} : { authToken }) }),
  );
  try {
    await Database.guard(() => migrate(db));
    const pepper = home.pepper();
    await Key.checkPepper(db, pepper);
    const stored = home.apiKey();
    if (stored !== undefined && (await Key.isValid(db, pepper, stored, keyId))) return stored;
    const made = await create(db, pepper, overlapMs);
    if (made === undefined) home.remove("api-key");
    else home.write("api-key", made);
    return made;
  } finally {
    db.client.close();
  }
}

async function create(db: Database.Db, pepper: string, overlapMs: number): Promise<string | undefined> {
  try {
    return (await Key.create(db, pepper, { keyId, role: "admin" })).api_key;
  } catch (error) {
    if (!isConflict(error)) throw error;
  }
  try {
    return (await Key.rotate(db, pepper, { keyId, overlapMs })).api_key;
  } catch (error) {
    if (!isConflict(error)) throw error;
    return undefined;
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof AppError && error.code === "conflict";
}
