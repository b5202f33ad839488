import { createClient } from "@libsql/client/http";
import * as Bucket from "#core/bucket/bucket";
import * as Proof from "#core/bucket/proof";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import { from } from "#core/error";
import type { Log } from "#core/log";

const timeoutMs = 10_000;
const silent: Log = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};

/**
 * Tests whether a bucket refuses to overwrite, and stores the outcome in the database, if there is one.
 * @param env - the settings of bucket and database, as the functions have them.
 * @returns undefined if it refused; else a line for the terminal. Never throws.
 */
export async function complaint(
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  try {
    const bucket = Bucket.open(Config.bucketOf(env), timeoutMs);
    try {
      const proof = await Proof.prove(bucket, silent);
      if (env.DATABASE_URL) await keep(env.DATABASE_URL, env.DATABASE_AUTH_TOKEN, proof);
      if (proof.ok || bucket.settings.allowOverwrite) return undefined;
      return proof.error === "overwritten"
        ? "the bucket overwrites what it was asked not to (If-None-Match is ignored): answers can be lost, use another server"
        : "the bucket refuses writes with If-None-Match where nothing is: use another server";
    } finally {
      bucket.client.destroy();
    }
  } catch (thrown) {
    return `the test whether the bucket refuses to overwrite failed (${from(thrown).code})`;
  }
}

async function keep(url: string, authToken: string | undefined, proof: Proof.Proof): Promise<void> {
  const client = createClient({ url, ...(authToken ? { authToken } : {}) });
  try {
    await Proof.keep(Database.wrap(client), proof);
  } finally {
    client.close();
  }
}
