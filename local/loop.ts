/**
 * The local loop: the deployed product on one machine. Functions are bundled and run as Lambda runs them, behind
 * an HTTP API's rules; each service that they call is real if its variables are set, else a stand-in with the same
 * protocol. All persistent data is in one folder.
 */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { fileURLToPath } from "node:url";
import * as Config from "#core/config";
import { type App, product } from "#local/app";
import * as Bucket from "#local/bucket";
import { bundle } from "#local/bundle/bundle";
import type * as FirstKey from "#local/first-key";
import * as FunctionEnv from "#local/function-env";
import type { Seen } from "#local/gateway/seen";
import * as GatewayServer from "#local/gateway/server";
import { databaseUrl, type Env, type Home, home as homeOf } from "#local/home/home";
import * as Lock from "#local/home/lock";
import * as Settings from "#local/home/settings";
import * as SqliteFile from "#local/home/sqlite-file";
import * as LambdaPool from "#local/lambda/pool";
import * as Reaper from "#local/lambda/reaper";
import * as ModelProcess from "#local/model-process";
import { end, type Parts } from "#local/parts";
import type { Hook as QueueHook, QueueServerOptions } from "#local/queue/server";
import * as Wiring from "#local/queue/wiring";
import type * as S3Server from "#local/s3/server";
import * as SqlServer from "#local/sql/server";
import { type Log, open as openLog } from "#local/terminal/loop-log";
import * as Limits from "#spec/limits";

export interface LoopOptions {
  /** The folder; relative to the package. */
  readonly home: string;
  /** 0: any free port. */
  readonly port: number;
  /** Of the loop's own bucket. Default: any free one; `mayMove`: where it is taken, any other will do. */
  readonly bucketPort?: { readonly port: number; readonly mayMove: boolean };
  readonly host?: string;
  /** All timeouts, leases and visibilities are multiplied by it. Default: `OCRLTY_TIME_SCALE`, else 1. */
  readonly timeScale?: number;
  /** Most processes of all HTTP functions together. Default: what spec/limits.ts says. */
  readonly httpInstances?: number;
  /** Settings as a `.env` gives them; nothing else of the environment reaches a function. */
  readonly env?: Env;
  /** Where the functions' lines go: the folder's log file (default), or a function of a test. */
  readonly log?: "file" | ((line: string) => void);
  /** A short line for the terminal about something that went wrong. */
  readonly warn?: (line: string) => void;
  /** Called for every answered request. */
  readonly onAnswer?: (seen: Seen) => void;
  /** For tests: sees, delays or fails the functions' requests to the bucket, the database and the queues. */
  readonly onRequest?: {
    readonly s3?: S3Server.Hook;
    readonly sql?: NonNullable<SqlServer.SqlOptions["onRequest"]>;
    /** The mappings' requests, too. */
    readonly sqs?: QueueHook;
  };
  readonly app?: App;
}

export interface Loop {
  readonly url: string;
  /** Absolute path of the folder. */
  readonly home: string;
  /** A key with role admin; undefined when the operator has revoked it. */
  readonly apiKey: string | undefined;
  /** The file that holds it. */
  readonly apiKeyPath: string;
  /** The functions' log; undefined when a function takes the lines. */
  readonly logPath: string | undefined;
  /** All settings; a function finds in its environment those that it is linked to. */
  readonly env: Readonly<Record<string, string>>;
  /** How other programs look into the loop's own bucket; undefined where it is one of the operator's. */
  readonly bucket: Bucket.Access | undefined;
  readonly lambda: LambdaPool.Lambda;
  modelPid(): number | undefined;
  /** Bundles again and swaps code and routes; calls in flight finish on what they began with. Throws BundleError. */
  reload(app?: App): Promise<void>;
  /** Takes no new calls, lets those in flight finish for `graceMs` (3 s), ends every process. May be called twice. */
  close(graceMs?: number): Promise<void>;
}

/** The functions' region, and what the stand-ins sign with. */
const region = "us-east-1";
/** No function's name: those are identifiers. */
const httpPool = "(http)";

const sharedOverlapMs = 24 * 3_600_000;

/**
 * Starts everything and returns when calls are answered. Throws HeldError, PortError, BundleError, HomeError,
 * ConfigError or AppError (pepper, database) with a message fit for a terminal, and leaves nothing running then.
 */
export async function start(options: LoopOptions): Promise<Loop> {
  const parts: Parts = {};
  try {
    return await startParts(options, parts);
  } catch (error) {
    await end(parts, 0);
    throw error;
  }
}

async function startParts(options: LoopOptions, parts: Parts): Promise<Loop> {
  const { env, warnings } = Config.withAliases(options.env ?? {});
  for (const warning of warnings) options.warn?.(warning);
  Settings.check(env);
  const { OCRLTY_TIME_SCALE, LOG_LEVEL: level } = Config.parse("app", env);
  const timeScale = options.timeScale ?? OCRLTY_TIME_SCALE;
  const home = homeOf({ ...env, OCRLTY_HOME: options.home });
  let app = options.app ?? product;
  const wiring = wiringOf(app, env);

  parts.lock = Lock.acquire(home.dir);
  const log = openLog(options, home, { level, format: Settings.loop(env).LOG_FORMAT });
  parts.log = log;
  parts.reaper = Reaper.start();
  const resumes = await forgets(app, env, home);

  // The port is opened before anything slow, so that a second start fails at once; calls wait until everything is
  // ready.
  const ready = Promise.withResolvers<LambdaPool.Lambda>();
  ready.promise.catch(() => undefined);
  const gateway = await startGateway(options, app, timeScale, ready.promise);
  parts.gateway = gateway;

  try {
    const [, model, bucket, queues, database] = await together([
      startBundle(app, parts),
      startModel(env, log, parts),
      startBucket(env, home, options, parts),
      startQueues({ env, home, wiring }, parts, {
        timeScale,
        onRequest: options.onRequest?.sqs,
        rightsOf: (accessKeyId) => FunctionEnv.rightsOf(app, accessKeyId),
        onDenied: ({ functionName, action, queue }) =>
          log.event("ERROR", "queue_access_denied", { function: functionName, action, queue }),
      }),
      startDatabase(env, home, options.onRequest?.sql, parts),
    ]);
    if (resumes && parts.queues !== undefined) {
      const { resume } = await import("#local/restart");
      log.event("INFO", "work_resumed", await resume(database.access, parts.queues, timeScale));
    }
    const functionEnv = FunctionEnv.settings(env, home, timeScale, {
      ...{ ...model, ...bucket?.settings, ...database.env, ...queues },
    });
    // What the loop's own bucket promises, its tests show.
    if (Settings.hasBucket(env)) {
      const said = await (await import("#local/bucket-proof")).complaint(functionEnv);
      if (said !== undefined) options.warn?.(said);
    }
    const lambda = LambdaPool.start({
      ...codeOf(app, parts, wiring, timeScale),
      pools: { ...wiring.pools, [httpPool]: options.httpInstances ?? Limits.httpInstances },
      env: (name) => FunctionEnv.environmentOf(app, name, functionEnv),
      region,
      onLog: log.functionLine,
      onOutcome: log.outcome,
      onStart: parts.reaper.watch,
    });
    parts.lambda = lambda;
    ready.resolve(lambda);
    parts.sources = await Wiring.start({
      wiring,
      server: parts.queues,
      lambda,
      timeScale,
      region,
      onTrouble: (error) => log.event("ERROR", "queue_poll_error", { error_type: error.name }),
    });
    publish(home, gateway.url, env, parts);
    const reload = async (next = app) => {
      await startBundle(next, parts);
      app = next;
      lambda.swap(codeOf(app, parts, wiring, timeScale));
      gateway.swap(app.table);
    };
    return {
      ...facts(home, database, functionEnv, log),
      url: gateway.url,
      bucket: bucket?.access,
      lambda,
      reload,
      ...ending(parts),
    };
  } catch (error) {
    ready.reject(new LambdaPool.ClosedError("the loop does not start"));
    throw error;
  }
}

function startGateway(
  options: LoopOptions,
  app: App,
  timeScale: number,
  lambda: Promise<LambdaPool.Lambda>,
): Promise<GatewayServer.Gateway> {
  return GatewayServer.start({
    lambda: { invoke: async (...call) => (await lambda).invoke(...call) },
    table: app.table,
    host: options.host ?? "127.0.0.1",
    port: options.port,
    timeoutMs: Limits.times(timeScale).gatewayTimeoutMs,
    onAnswer: options.onAnswer,
  });
}

/** Writes the addresses to the folder, for the operator's commands, which read the bucket and the queues themselves. */
function publish(home: Home, url: string, env: Env, parts: Parts): void {
  home.write("url", url);
  if (parts.bucket) home.write("bucket-url", parts.bucket.url);
  if (parts.queues && !env.AWS_ENDPOINT_URL_SQS)
    home.write("queue-urls", JSON.stringify(Wiring.settings(parts.queues)));
  parts.urlFile = {
    remove: () => {
      for (const name of ["url", "bucket-url", "queue-urls"] as const) home.remove(name);
    },
  };
}

const facts = (
  home: Home,
  { apiKey }: { apiKey: string | undefined },
  env: FunctionEnv.Decided,
  log: Log,
) => ({
  home: home.dir,
  apiKey,
  apiKeyPath: home.file("api-key"),
  logPath: log.path,
  env,
});

function ending(parts: Parts): Pick<Loop, "modelPid" | "close"> {
  let closing: Promise<void> | undefined;
  return {
    modelPid: () => parts.model?.pid(),
    close: (graceMs = 3_000) => {
      closing ??= end(parts, graceMs);
      return closing;
    },
  };
}

/** All of them, or the first error, but not before the last has ended: what still starts could not be ended. */
async function together<T extends readonly unknown[]>(
  started: { [K in keyof T]: Promise<T[K]> },
): Promise<T> {
  await Promise.allSettled(started);
  return (await Promise.all(started)) as unknown as T;
}

/** The stand-in model server, unless there is a real one. */
async function startModel(env: Env, log: Log, parts: Parts): Promise<FunctionEnv.Decided> {
  if (env.VLLM_BASE_URL) return {};
  parts.model = await ModelProcess.start({
    onLog: (line) => log.functionLine("model", line),
    onStart: (child) => parts.reaper?.watch(child),
  });
  return { VLLM_BASE_URL: parts.model.url, VLLM_MODEL: "local-ocr", VLLM_API_KEY: "" };
}

/** The S3 stand-in in the folder, unless there is a real bucket. */
async function startBucket(
  env: Env,
  home: Home,
  { onRequest, warn, bucketPort = { port: 0, mayMove: false } }: LoopOptions,
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
async function startDatabase(
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

/**
 * Whether work that an earlier loop left is sent again from the rows, which invalidates the messages in its queues.
 * Only if the database is the folder's own: a database server may be used by loops of other folders.
 */
async function forgets(app: App, env: Env, home: Home): Promise<boolean> {
  const isOwn = databaseUrl({ ...env, OCRLTY_HOME: home.dir }).startsWith("file:");
  if (app.resumes !== true || !isOwn || !fs.existsSync(home.file("queues"))) return false;
  return (await import("#local/restart")).forget(home.file("queues"));
}

/** Which queues and schedules have functions. A reload keeps the queues of the start. */
function wiringOf({ queues = {}, schedules = {}, functions }: App, env: Env): Wiring.Wiring {
  return Wiring.plan({ queues, schedules }, functions, env);
}

/** The emulated queues in the folder, unless there are queues of another server; when a function waits behind one. */
async function startQueues(
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

async function startBundle(app: App, parts: Parts): Promise<void> {
  const fresh = await bundle({
    handlers: Object.fromEntries(Object.entries(app.functions).map(([name, { handler }]) => [name, handler])),
    pages: Object.values(app.functions).some(({ pages }) => pages === true),
  });
  parts.bundle?.release();
  parts.bundle = fresh;
}

function codeOf(
  app: App,
  { bundle: built }: Parts,
  { pools }: Wiring.Wiring,
  timeScale: number,
): Pick<LambdaPool.LambdaOptions, "runtimeFile" | "functions"> {
  const functions: Record<string, LambdaPool.FunctionCode> = {};
  for (const [name, { memoryMb, timeoutMs }] of Object.entries(app.functions)) {
    const bundled = built?.functions[name];
    if (bundled === undefined) continue;
    functions[name] = {
      ...bundled,
      memoryMb,
      timeoutMs: Math.max(1, Math.round(timeoutMs * timeScale)),
      pool: Object.hasOwn(pools, name) ? name : httpPool,
    };
  }
  return { runtimeFile: built?.runtimeFile ?? "", functions };
}
