/**
 * The local loop: the deployed product on one machine. Functions are bundled and run as Lambda runs them, behind
 * an HTTP API's rules; each service that they call is real if its variables are set, else a stand-in with the same
 * protocol. All persistent data is in one folder.
 */
import * as fs from "node:fs";
import * as Config from "#core/config";
import { type App, product } from "#local/app";
import type * as Bucket from "#local/bucket";
import { bundle } from "#local/bundle/bundle";
import * as FunctionEnv from "#local/function-env";
import type { Seen } from "#local/gateway/seen";
import * as GatewayServer from "#local/gateway/server";
import { databaseUrl, type Env, type Home, home as homeOf } from "#local/home/home";
import * as Lock from "#local/home/lock";
import * as Settings from "#local/home/settings";
import * as LambdaPool from "#local/lambda/pool";
import * as Reaper from "#local/lambda/reaper";
import { end, type Parts } from "#local/parts";
import type { Hook as QueueHook } from "#local/queue/server";
import * as Wiring from "#local/queue/wiring";
import type * as S3Server from "#local/s3/server";
import * as Servers from "#local/servers";
import type * as SqlServer from "#local/sql/server";
import { type Log, open as openLog } from "#local/terminal/loop-log";
import * as Limits from "#spec/limits";

export interface LoopOptions {
  /** The folder; relative to the package. */
  readonly home: string;
  /** 0: any free port. */
  readonly port: number;
  /** The port of the loop's own bucket. By default any free one; with `mayMove` another is used if it is taken. */
  readonly bucketPort?: { readonly port: number; readonly mayMove: boolean };
  readonly host?: string;
  /** All timeouts, leases and visibilities are multiplied by it. Default: `OCRLTY_TIME_SCALE`, else 1. */
  readonly timeScale?: number;
  /** Most processes of all HTTP functions together. By default as in spec/limits.ts. */
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
  /** How other programs reach the loop's own bucket; undefined if the operator has named one. */
  readonly bucket: Bucket.Access | undefined;
  readonly lambda: LambdaPool.Lambda;
  modelPid(): number | undefined;
  /** The calls that a queue causes, to pause and resume them. Throws TypeError if there is no such queue. */
  queue(name: string): ReturnType<Wiring.Sources["of"]>;
  /** Bundles again and swaps code and routes; calls in flight finish on what they began with. Throws BundleError. */
  reload(app?: App): Promise<void>;
  /** Takes no new calls, lets those in flight finish for `graceMs` (3 s), ends every process. May be called twice. */
  close(graceMs?: number): Promise<void>;
}

/** Cannot be a function's name, because those are identifiers. */
const httpPool = "(http)";

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

  const setup: Setup = { options, env, home, timeScale, wiring };
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
    const { functionEnv, bucket, database } = await startServers(setup, parts, {
      app: () => app,
      log,
      resumes,
    });
    const lambda = startLambda(setup, parts, { app: () => app, log, functionEnv });
    ready.resolve(lambda);
    parts.sources = await Wiring.start({
      wiring,
      server: parts.queues,
      lambda,
      timeScale,
      region: Servers.region,
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

/** The values that are known before anything is started. */
interface Setup {
  readonly options: LoopOptions;
  readonly env: Env;
  readonly home: Home;
  readonly timeScale: number;
  readonly wiring: Wiring.Wiring;
}

/** Starts the bundle, the model, the bucket, the queues and the database. */
async function startServers(
  { options, env, home, timeScale, wiring }: Setup,
  parts: Parts,
  { app, log, resumes }: { app: () => App; log: Log; resumes: boolean },
) {
  const [, model, bucket, queues, database] = await together([
    startBundle(app(), parts),
    Servers.model(env, log, parts),
    Servers.bucket(env, home, options, parts),
    Servers.queues({ env, home, wiring }, parts, {
      timeScale,
      onRequest: options.onRequest?.sqs,
      rightsOf: (accessKeyId) => FunctionEnv.rightsOf(app(), accessKeyId),
      onDenied: ({ functionName, action, queue }) =>
        log.event("ERROR", "queue_access_denied", { function: functionName, action, queue }),
    }),
    Servers.database(env, home, options.onRequest?.sql, parts),
  ]);
  if (resumes && parts.queues !== undefined) {
    const { resume } = await import("#local/restart");
    log.event("INFO", "work_resumed", await resume(database.access, parts.queues, timeScale));
  }
  const functionEnv = FunctionEnv.settings(env, home, timeScale, {
    ...{ ...model, ...bucket?.settings, ...database.env, ...queues },
  });
  // Only for the user's bucket: the loop's own has tests.
  if (Settings.hasBucket(env)) {
    const said = await (await import("#local/bucket-proof")).complaint(functionEnv);
    if (said !== undefined) options.warn?.(said);
  }
  return { functionEnv, bucket, database };
}

function startLambda(
  { options, timeScale, wiring }: Setup,
  parts: Parts,
  {
    app,
    log,
    functionEnv,
  }: { app: () => App; log: Log; functionEnv: ReturnType<typeof FunctionEnv.settings> },
): LambdaPool.Lambda {
  const lambda = LambdaPool.start({
    ...codeOf(app(), parts, wiring, timeScale),
    pools: { ...wiring.pools, [httpPool]: options.httpInstances ?? Limits.httpInstances },
    env: (name) => FunctionEnv.environmentOf(app(), name, functionEnv),
    region: Servers.region,
    onLog: log.functionLine,
    onOutcome: log.outcome,
    onStart: (child) => parts.reaper?.watch(child),
  });
  parts.lambda = lambda;
  return lambda;
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

function ending(parts: Parts): Pick<Loop, "modelPid" | "queue" | "close"> {
  let closing: Promise<void> | undefined;
  return {
    modelPid: () => parts.model?.pid(),
    queue: (name) => {
      if (parts.sources === undefined) throw new TypeError("the loop has not started");
      return parts.sources.of(name);
    },
    close: (graceMs = 3_000) => {
      closing ??= end(parts, graceMs);
      return closing;
    },
  };
}

/** Waits for all of them, also after an error: a part that is still starting could not be ended. */
async function together<T extends readonly unknown[]>(
  started: { [K in keyof T]: Promise<T[K]> },
): Promise<T> {
  await Promise.allSettled(started);
  return (await Promise.all(started)) as unknown as T;
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
