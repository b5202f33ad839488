import { Resource } from "sst/resource";
import type * as z from "zod";
import { commandSettings, dated, settings, takes } from "#core/setting";
import type { KeyLimits } from "#spec/key-limits";
import type { ProfileName } from "#spec/profile-names";
import { commandOnly } from "#spec/settings";
import manifest from "../package.json" with { type: "json" };

/**
 * The only reader of the environment. Each section is read and checked when it is first used, so a function
 * needs only the variables of what it touches; an error names the variable, never its value.
 */
export type Env = Record<string, string | undefined>;

/** A setting that is missing or wrong. The message names variables only. */
export class ConfigError extends Error {
  readonly variables: string[];
  constructor(variables: string[], message: string) {
    super(message);
    this.name = "ConfigError";
    this.variables = variables;
  }
}

type Section = keyof typeof settings;
type Values<S extends Section> = {
  [K in keyof (typeof settings)[S]]: z.output<(typeof settings)[S][K] & z.ZodType>;
};

const namesOf = (sections: Record<string, object>) => Object.values(sections).flatMap(Object.keys);

/** Every variable of the product, for the test of `.env.example` and for the local loop, which passes them on. */
export const names: string[] = [...namesOf(settings), ...commandOnly];
export const sections = Object.keys(settings) as Section[];

/**
 * Checks one section of an environment. An empty variable counts as not set: `.env` files and CI systems write `NAME=`
 * for "none".
 * @throws ConfigError with the name of every wrong variable and its valid values, in one line.
 */
export function parse<S extends Section>(section: S, env: Env): Values<S> {
  return check<(typeof settings)[S]>(settings[section], env);
}

/** The same for settings of another table (local/home/settings.ts). @throws ConfigError. */
export function check<T extends object>(
  schemas: T,
  env: Env,
): { [K in keyof T]: z.output<T[K] & z.ZodType> } {
  const values: Record<string, unknown> = {};
  const wrong: string[] = [];
  for (const [name, schema] of Object.entries(schemas) as [string, z.ZodType][]) {
    const given = env[name] === "" ? undefined : env[name];
    const parsed = schema.safeParse(given);
    if (parsed.success) values[name] = parsed.data;
    else wrong.push(`${name} is not ${given === undefined ? "set" : "valid"}: it takes ${takes(schema)}`);
  }
  if (wrong.length > 0)
    throw new ConfigError(
      wrong.map((line) => line.split(" ")[0] ?? ""),
      wrong.join("; "),
    );
  return values as { [K in keyof T]: z.output<T[K] & z.ZodType> };
}

/**
 * Old names and shared names, for programs that run outside Lambda (the loop, the scripts): the variables of the
 * Python version still work. Inside Lambda `AWS_*` is the function's own role and is never used for R2.
 */
export function withAliases(env: Env): { env: Env; warnings: string[] } {
  const result: Env = { ...env };
  const warnings: string[] = [];
  const inLambda = Boolean(env.AWS_LAMBDA_FUNCTION_NAME);
  if (
    !inLambda &&
    env.S3_ENDPOINT_URL &&
    !env.S3_ACCESS_KEY_ID &&
    env.AWS_ACCESS_KEY_ID &&
    env.AWS_SECRET_ACCESS_KEY
  ) {
    result.S3_ACCESS_KEY_ID = env.AWS_ACCESS_KEY_ID;
    result.S3_SECRET_ACCESS_KEY = env.AWS_SECRET_ACCESS_KEY;
    warnings.push(
      "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY serve as S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY: set those instead",
    );
  }
  if (!env.DATABASE_URL && env.AUTH_DB_PATH) {
    result.DATABASE_URL = `file:${env.AUTH_DB_PATH}`;
    warnings.push("AUTH_DB_PATH is read as DATABASE_URL=file:…: set DATABASE_URL instead");
  }
  return { env: result, warnings };
}

/**
 * The variables that the deployment linked (spec/settings.ts). Empty without SST. In Lambda the links come from an
 * encrypted file in the bundle, so that no secret is an environment variable.
 */
function linked(): Env {
  const found: Env = {};
  for (const link of Object.values(Resource as unknown as Record<string, unknown>)) {
    if (typeof link !== "object" || link === null) continue;
    for (const [name, value] of Object.entries(link)) {
      if (names.includes(name) && typeof value === "string") found[name] = value;
    }
  }
  return found;
}

/** The environment and the links. Links take precedence, so that a local `.env` redirects nothing under `sst shell`. */
export function environment(env: Env = process.env): Env {
  return { ...env, ...linked() };
}

const cache = new Map<Section, unknown>();

function section<S extends Section>(name: S): Values<S> {
  const known = cache.get(name);
  if (known !== undefined) return known as Values<S>;
  const values = parse(name, environment());
  cache.set(name, values);
  return values;
}

/** Variables of the operating system and its loader: no settings of the product, no credentials of a platform. */
const systemVariables = /^(PATH|PATHEXT|SYSTEM(ROOT|DRIVE)|WINDIR|TE?MP|TMPDIR|LD_LIBRARY_PATH)$/i;

/** The environment of a process that gets no secrets. */
export function systemEnvironment(): Env {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => systemVariables.test(name)));
}

/** Clears the cache; for tests that change the environment. */
export function reset(): void {
  cache.clear();
}

interface App {
  stage: string;
  version: string;
  deployed: boolean;
  timeScale: number;
  debugMode: boolean;
  corsAllowOrigins: string[];
  logLevel: "DEBUG" | "INFO" | "WARN" | "ERROR" | "SILENT";
  /** The pod's manager starts and stops the model server, and says where it is. */
  podManaged: boolean;
}

/** Stage, version and switches. By default DEBUG_MODE is off on a deployed stage and on locally. */
export function app(): App {
  const values = section("app");
  const deployed = values.OCRLTY_STAGE !== "local";
  if (deployed && values.OCRLTY_TIME_SCALE !== 1) {
    throw new ConfigError(["OCRLTY_TIME_SCALE"], "OCRLTY_TIME_SCALE must be 1 on a deployed stage");
  }
  return {
    stage: values.OCRLTY_STAGE,
    version: manifest.version,
    deployed,
    timeScale: values.OCRLTY_TIME_SCALE,
    debugMode: values.DEBUG_MODE ?? !deployed,
    corsAllowOrigins: values.CORS_ALLOW_ORIGINS,
    logLevel: values.LOG_LEVEL,
    podManaged: values.POD_MANAGER === "on",
  };
}

/** True if API keys are required. @throws ConfigError if they are switched off on a deployed stage. */
export function authEnabled(): boolean {
  const enabled = section("auth").AUTH_ENABLED;
  if (!enabled && app().deployed)
    throw new ConfigError(["AUTH_ENABLED"], "AUTH_ENABLED=0 is refused on a deployed stage");
  return enabled;
}

/** Whether API keys are required, and the pepper of their hashes. */
export function auth(): { enabled: true; pepper: string } | { enabled: false } {
  if (!authEnabled()) return { enabled: false };
  const pepper = section("auth").API_KEY_PEPPER;
  if (pepper === undefined) throw new ConfigError(["API_KEY_PEPPER"], "API_KEY_PEPPER is not set");
  return { enabled: true, pepper };
}

export interface Model {
  baseUrl: string;
  /** The address is that of a managed pod, which the database says (#core/breaker/address). */
  managed?: true;
  apiKey: string | undefined;
  model: string;
  /** Undefined: as reported by the server. */
  maxModelLen: number | undefined;
  /** Undefined: the task decides. */
  maxTokens: number | undefined;
  maxImages: number;
  /** Undefined: by the model's name. */
  profile?: ProfileName | undefined;
  /** Most pixels of a picture, beside what the context leaves. */
  maxPixels?: number | undefined;
  /** Pictures in the bucket that need no change go to the server as signed URLs; without it, as bytes. */
  imageUrls?: boolean;
  /** Pictures are looked at before they are sent (#core/look/look). */
  look: boolean;
  connectTimeoutMs: number;
  readTimeoutMs: number;
}

/**
 * The model server's address and settings. The timeouts follow the time scale.
 * @throws ConfigError, also if an address is set although the pod is managed.
 */
export function model(): Model {
  if (!app().podManaged) return toModel(section("model"), app().timeScale);
  const env = environment();
  refuseBoth(env);
  return {
    // Nowhere, until the address is read: names below `invalid` never resolve (RFC 2606).
    ...toModel(check(settings.model, { ...env, VLLM_BASE_URL: "http://pod.invalid/v1" }), app().timeScale),
    managed: true,
  };
}

/** A managed pod's address follows the pod, so no other one may be set. @throws ConfigError. */
export function refuseBoth(env: Env): void {
  if (!env.VLLM_BASE_URL) return;
  throw new ConfigError(
    ["VLLM_BASE_URL"],
    "VLLM_BASE_URL is set beside POD_MANAGER=on, which finds the address by itself: delete the line VLLM_BASE_URL=… (on a stage the secret VllmBaseUrl)",
  );
}

function toModel(values: Values<"model">, timeScale: number): Model {
  return {
    baseUrl: values.VLLM_BASE_URL.replace(/\/+$/, ""),
    apiKey: values.VLLM_API_KEY,
    model: values.VLLM_MODEL,
    maxModelLen: values.VLLM_MAX_MODEL_LEN,
    maxTokens: values.VLLM_MAX_TOKENS,
    maxImages: values.VLLM_MAX_IMAGES,
    profile: values.VLLM_PROFILE,
    maxPixels: values.VLLM_MAX_PIXELS,
    imageUrls: values.VLLM_IMAGE_URLS === "on",
    look: values.LOOK === "on",
    connectTimeoutMs: Math.ceil(values.VLLM_CONNECT_TIMEOUT_S * 1000 * timeScale),
    readTimeoutMs: Math.ceil(values.VLLM_READ_TIMEOUT_S * 1000 * timeScale),
  };
}

/** The model's name alone, for /health, where no server address is needed. */
export function modelName(): string {
  return environment().VLLM_MODEL || settings.model.VLLM_MODEL.parse(undefined);
}

export interface Bucket {
  bucket: string;
  endpoint: string | undefined;
  region: string;
  /** Without leading or trailing slashes; empty for none. */
  prefix: string;
  allowOverwrite: boolean;
  presignTtlS: number;
  forcePathStyle: boolean;
  accessKeyId: string;
  secretAccessKey: string;
}

/** The artifact bucket, with its own credentials (in Lambda, `AWS_*` are the function's role). */
export function bucket(): Bucket {
  return toBucket(section("bucket"));
}

/** The bucket of another environment, for programs other than the functions. @throws ConfigError. */
export function bucketOf(env: Env): Bucket {
  return toBucket(parse("bucket", env));
}

function toBucket(values: Values<"bucket">): Bucket {
  return {
    bucket: values.S3_BUCKET,
    endpoint: values.S3_ENDPOINT_URL,
    region: values.S3_REGION,
    prefix: values.S3_PREFIX,
    allowOverwrite: values.S3_ALLOW_OVERWRITE,
    presignTtlS: values.S3_PRESIGN_TTL_S,
    forcePathStyle: values.S3_FORCE_PATH_STYLE,
    accessKeyId: values.S3_ACCESS_KEY_ID,
    secretAccessKey: values.S3_SECRET_ACCESS_KEY,
  };
}

/** The database of keys and runs. */
export function database(): { url: string; authToken: string | undefined } {
  const values = section("database");
  return { url: values.DATABASE_URL, authToken: values.DATABASE_AUTH_TOKEN };
}

/** The model server of a command's environment; undefined where none is set. @throws ConfigError. */
export function modelOf(env: Env): Model | undefined {
  return env.VLLM_BASE_URL ? toModel(parse("model", env), 1) : undefined;
}

/**
 * The limits of a key that `keys create-key` makes, from a command's environment; null means no limit. @throws
 * ConfigError.
 */
export function newKeyLimitsOf(env: Env): Partial<KeyLimits> {
  const values = check(commandSettings.newKey, env);
  return {
    requestsPerMinute: values.DEFAULT_REQUESTS_PER_MINUTE,
    itemsPerDay: values.DEFAULT_ITEMS_PER_DAY,
    maxRunItems: values.DEFAULT_MAX_RUN_ITEMS,
    maxInFlight: values.DEFAULT_MAX_IN_FLIGHT,
    maxStoredBytes: values.DEFAULT_MAX_STORED_BYTES,
  };
}

/** Days after which extracts and runs of keys without a number of their own are removed; undefined: never. */
export function retentionDays(): number | undefined {
  return section("retention").RETENTION_DAYS;
}

/** Most items at work at once, of all runs together. */
export function itemConcurrency(): number {
  return section("planner").ITEM_MAX_CONCURRENCY;
}

/** The price of a GPU hour, in any currency; undefined if not set. */
export function usage(): { gpuCostPerHour: number | undefined } {
  return { gpuCostPerHour: section("usage").GPU_COST_PER_HOUR };
}

/** A secret of this environment, with its expiry. */
export interface Credential {
  /** The setting's name. */
  name: string;
  /** Undefined: it is not set here. */
  value: string | undefined;
  /** The date in `CREDENTIALS_EXPIRE`. */
  endsAt: Date | undefined;
}

/** The secrets that this function is linked to. @throws ConfigError when `CREDENTIALS_EXPIRE` cannot be read. */
export function credentials(): Credential[] {
  return credentialsOf(environment());
}

/** The secrets of another environment, for commands. @throws ConfigError. */
export function credentialsOf(env: Env): Credential[] {
  const ends = parse("expiry", env).CREDENTIALS_EXPIRE;
  return [...dated].map((name) => ({
    name,
    value: env[name] || undefined,
    endsAt: ends?.get(name),
  }));
}

export interface Queues {
  plan: string;
  item: string;
  single: string;
  later: string;
  urgent: string;
}

/** Addresses of the queues; set by the deployment, and by the local loop. */
export function queues(): Queues {
  const values = section("queues");
  return {
    plan: values.PLAN_QUEUE_URL,
    item: values.ITEM_QUEUE_URL,
    single: values.SINGLE_QUEUE_URL,
    later: values.LATER_QUEUE_URL,
    urgent: values.URGENT_QUEUE_URL,
  };
}

interface Webhook {
  /** The signing secrets, two while one is being replaced. Without any, no webhook can be sent. */
  secrets: string[];
  /** Plain http and addresses outside the public internet, for receivers on the same machine. */
  allowPrivate: boolean;
}

/** How webhooks are sent. @throws ConfigError when private addresses are allowed on a deployed stage. */
export function webhook(): Webhook {
  const values = section("webhook");
  if (values.WEBHOOK_ALLOW_PRIVATE && app().deployed)
    throw new ConfigError(
      ["WEBHOOK_ALLOW_PRIVATE"],
      "WEBHOOK_ALLOW_PRIVATE=1 is refused on a deployed stage",
    );
  return { secrets: values.WEBHOOK_SECRET, allowPrivate: values.WEBHOOK_ALLOW_PRIVATE };
}

/** `IMAGE_URL_HOSTS`; undefined: the hosts of the large clouds' buckets (core/run/source/hosts.ts). */
export function batchHosts(): readonly string[] | undefined {
  return section("batch").IMAGE_URL_HOSTS;
}
