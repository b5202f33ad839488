/** The bucket's data root for operators: direct access with the bucket's settings, without the API. */
import * as fs from "node:fs";
import { S3ServiceException } from "@aws-sdk/client-s3";
import * as z from "zod";
import * as Profile from "#cli/server/profile";
import * as Server from "#cli/server/server";
import { type Context, UsageError } from "#cli/terminal/context";
import * as Bucket from "#core/bucket/bucket";
import * as Config from "#core/config";
import type { Log } from "#core/log";
import { dataRoot } from "#core/upload/data-root";
import { home } from "#local/home/home";

export interface Listed {
  /** The key as in a manifest: `shared/receipts/1.jpg`. */
  readonly image_key: string;
  readonly bytes: number;
  readonly modified_at: string;
}

const Credentials = z.object({ accessKeyId: z.string(), secretAccessKey: z.string() });
const timeoutMs = 30_000;

/**
 * Calls `work` with the bucket of `S3_BUCKET` (a stage's under `sst shell`), else with the local loop's; if no loop
 * runs, one is started for the command. Throws UsageError if the bucket cannot be reached, ConfigError for wrong
 * settings.
 */
export async function withBucket<T>(
  context: Context,
  work: (bucket: Bucket.Bucket) => Promise<T>,
): Promise<T> {
  // The same rule as in the local loop: if one of them is set, the operator's bucket is used.
  if (context.env.S3_BUCKET || context.env.S3_ENDPOINT_URL)
    return use(context, Config.withAliases(context.env).env, work);
  // The loop of this folder, even if OCRLTY_URL names another server: that server's bucket is not known here.
  const server = await Server.connect(context, { profile: Profile.local });
  try {
    const folder = home(context.env);
    const url = read(folder.file("bucket-url"));
    const stored = read(folder.file("s3-credentials.json"));
    if (url === undefined || stored === undefined)
      throw new UsageError("the local loop has no bucket of its own: set S3_BUCKET and its other settings");
    const { accessKeyId, secretAccessKey } = Credentials.parse(JSON.parse(stored));
    return await use(
      context,
      {
        ...context.env,
        S3_BUCKET: localBucket,
        S3_ENDPOINT_URL: url,
        S3_FORCE_PATH_STYLE: "1",
        S3_ACCESS_KEY_ID: accessKeyId,
        S3_SECRET_ACCESS_KEY: secretAccessKey,
      },
      work,
    );
  } finally {
    await server.close();
  }
}

/** The name of the loop's own bucket. */
const localBucket = "ocrlty";

async function use<T>(
  context: Context,
  env: Context["env"],
  work: (bucket: Bucket.Bucket) => Promise<T>,
): Promise<T> {
  const bucket = Bucket.open(Config.bucketOf(env), timeoutMs);
  try {
    return await work(bucket);
  } catch (error) {
    context.signal.throwIfAborted();
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    if (cause instanceof S3ServiceException)
      throw new UsageError(`the bucket refuses (${cause.name}): are these its credentials?`, {
        cause: error,
      });
    throw error;
  } finally {
    bucket.client.destroy();
  }
}

/** Commands write no log; errors are thrown. */
const silent: Log = { info: () => {}, warn: () => {}, error: () => {}, child: () => silent };

/** The objects with this key prefix under the data root, in byte order of their keys. */
export async function* list(context: Context, bucket: Bucket.Bucket, prefix: string): AsyncGenerator<Listed> {
  for (let token: string | undefined; ; ) {
    context.signal.throwIfAborted();
    const page = await Bucket.list(bucket, silent, { prefix: `${dataRoot}${prefix}`, token });
    for (const { rel, bytes, modified } of page.objects)
      yield { image_key: rel.slice(dataRoot.length), bytes, modified_at: modified.toISOString() };
    token = page.next;
    if (token === undefined) return;
  }
}

/**
 * Removes one object; false if it is a file of the folder that the local loop serves read-only (local/s3/overlay.ts).
 */
export async function remove(bucket: Bucket.Bucket, key: string): Promise<boolean> {
  try {
    await Bucket.remove(bucket, silent, `${dataRoot}${key}`);
    return true;
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    // Another bucket also answers AccessDenied if a right is missing.
    if (
      cause instanceof S3ServiceException &&
      cause.name === "AccessDenied" &&
      /read-only/.test(cause.message)
    )
      return false;
    throw error;
  }
}

function read(path: string): string | undefined {
  return fs.existsSync(path) ? fs.readFileSync(path, "utf8").trim() : undefined;
}
