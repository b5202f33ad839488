/** Starts the servers that the functions use: the model, the bucket, the queues and the database. */
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import * as Bucket from "#local/bucket";
import type * as FirstKey from "#local/first-key";
import * as FunctionEnv from "#local/function-env";
import { databaseUrl, type Env, type Home } from "#local/home/home";
import * as Settings from "#local/home/settings";
import * as SqliteFile from "#local/home/sqlite-file";
import * as ModelProcess from "#local/model-process";
import type { Parts } from "#local/parts";
import type { QueueServerOptions } from "#local/queue/server";
import * as Wiring from "#local/queue/wiring";
import type * as S3Server from "#local/s3/server";
import * as SqlServer from "#local/sql/server";
import type { Log } from "#local/terminal/loop-log";

/** The functions' region, which the signatures of the stand-ins name, too. */
export const region = "us-east-1";

/** A database server may serve several loops: the key of another one stays good this long. */
const sharedOverlapMs = 24 * 3_600_000;

/** The stand-in model server, unless there is a real one, or a pod that is started when work waits. */
export async function model(env: Env, log: Log, parts: Parts): Promise<FunctionEnv.Decided> {
  if (env.VLLM_BASE_URL || env.POD_MANAGER === "on") return {};
  parts.model = await ModelProcess.start({
    onLog: (line) => log.functionLine("model", line),
    onStart: (child) => parts.reaper?.watch(child),
  });
  return { VLLM_BASE_URL: parts.model.url, VLLM_MODEL: "local-ocr", VLLM_API_KEY: "" };
}

interface BucketOptions {
  readonly onRequest?: { readonly s3?: S3Server.Hook };
  readonly warn?: (line: string) => void;
  readonly bucketPort?: { readonly port: number; readonly mayMove: boolean };
}

/** The S3 stand-in in the folder, unless there is a real bucket. */
export async function bucket(
  env: Env,
  home: Home,
  { onRequest, warn, bucketPort = { port: 0, mayMove: false } }: BucketOptions,
  parts: Parts,
): Promise<Pick<Awaited<ReturnType<typeof Bucket.start>>, "access" | "settings"> | undefined> {
  if (Settings.hasBucket(env)) {
    if (env.DATA_ROOT) warn?.("DATA_ROOT is not served: the bucket is one of your own");
    return undefined;
  }
  const started = await Bucket.start(env, home, { ...bucketPort, region, warn, onRequest: onRequest?.s3 });
  parts.bucket = started.server;
  return started;
}

/** A libSQL server on the folder's file, unless the database is a server already; then the schema and the first key. */
export async function database(
  env: Env,
  home: Home,
  onRequest: SqlServer.SqlOptions["onRequest"],
  parts: Parts,
): Promise<{ env: FunctionEnv.Decided; access: FirstKey.Access; apiKey: string | undefined }> {
  const url = databaseUrl({ ...env, OCRLTY_HOME: home.dir });
  let database: FirstKey.Access = {
    url,
    authToken: env.DATABASE_AUTH_TOKEN || undefined,
    overlapMs: sharedOverlapMs,
  };
  if (url.startsWith("file:")) {
    SqliteFile.refuseOther(fileURLToPath(url));
    // Other programs of this machine can reach the port, too.
    const authToken = randomBytes(24).toString("base64url");
    parts.database = await SqlServer.start({
      file: fileURLToPath(url),
      authToken,
      ...(onRequest === undefined ? {} : { onRequest }),
    });
    database = { url: parts.database.url, authToken, overlapMs: 0 };
  }
  // Loaded here, while other processes start: drizzle's many files take longer than everything else of the loop together.
  const { ensure } = await import("#local/first-key");
  const apiKey = await ensure(home, database);
  const { authToken = "" } = database;
  return {
    env: { DATABASE_URL: database.url, DATABASE_AUTH_TOKEN: authToken },
    access: database,
    apiKey,
  };
}

/** The emulated queues in the folder, unless another server is configured; only if a function is called by a queue. */
export async function queues(
  { env, home, wiring: { queues } }: { env: Env; home: Home; wiring: Wiring.Wiring },
  parts: Parts,
  options: Pick<QueueServerOptions, "timeScale" | "onRequest" | "rightsOf" | "onDenied">,
): Promise<FunctionEnv.Decided> {
  if (Object.keys(queues).length === 0) return {};
  if (env.AWS_ENDPOINT_URL_SQS) {
    const Foreign = await import("#local/queue/foreign");
    const credentials = Foreign.credentialsOf(env, FunctionEnv.loopsOwn);
    const { timeScale } = options;
    parts.queues = await Foreign.connect({
      endpoint: env.AWS_ENDPOINT_URL_SQS,
      credentials,
      queues,
      region,
      timeScale,
    });
    return { ...Wiring.settings(parts.queues), ...Foreign.environmentOf(credentials) };
  }
  // Loaded when needed: the emulator and the SDK take longer to load than everything else together.
  const { start: startServer } = await import("#local/queue/server");
  parts.queues = await startServer({ dir: home.file("queues"), queues, region, ...options });
  return Wiring.settings(parts.queues);
}
