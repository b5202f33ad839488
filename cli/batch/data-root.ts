/** The bucket's data root as operators see it: past the API, with the bucket's own settings. */
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
  /** As a manifest names it: `shared/receipts/1.jpg`. */
  readonly image_key: string;
  readonly bytes: number;
  readonly modified_at: string;
}

const Credentials = z.object({ accessKeyId: z.string(), secretAccessKey: z.string() });
const timeoutMs = 30_000;

/**
 * Does `work` with the bucket: that of `S3_BUCKET` (a stage's under `sst shell`), else the local loop's, which is
 * started for the time when none runs. Throws UsageError when it cannot be reached, ConfigError for wrong settings.
 */
export async function withBucket<T>(
  context: Context,
  work: (bucket: Bucket.Bucket) => Promise<T>,
): Promise<T> {
  // The same rule as the loop's own: with one of them set, it is the operator's bucket.
  if (context.env.S3_BUCKET || context.env.S3_ENDPOINT_URL)
    return use(context, Config.withAliases(context.env).env, work);
  // The loop of this folder, whatever server OCRLTY_URL names: that one's bucket is not known here.
  const server = await Server.connect(context, { profile: Profile.local });
  try {
    const folder = home(context.env);
    const url = read(folder.file("bucket-url"));
    const stored = read(folder.file("s3-credentials.json"));
    if (url === undefined || stored === undefined)
      throw new UsageError("the local loop has no bucket of its own: set S3_BUCKET and what belongs to it");
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

/** Commands have no log; what goes wrong is thrown. */
const silent: Log = { info: () => {}, warn: () => {}, error: () => {}, child: () => silent };

/** The objects whose key under the data root begins so, in the order of their bytes. */
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

/** Removes one object; false where it is a file of the folder that the local loop serves read-only (local/s3/overlay.ts). */
export async function remove(bucket: Bucket.Bucket, key: string): Promise<boolean> {
  try {
    await Bucket.remove(bucket, silent, `${dataRoot}${key}`);
    return true;
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    // A bucket elsewhere that lacks a right says AccessDenied, too.
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
