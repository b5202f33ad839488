import { isIP } from "node:net";
import * as z from "zod";
import { windowOf } from "#core/daily-window";
import { podIdPattern } from "#spec/pod-id";
import { profileNames } from "#spec/profile-names";
import { secrets } from "#spec/settings";

/*
 * Every setting, its valid values, and the words for an error. A kind is a schema with its description, so that a
 * setting is refused in a sentence. No message contains a value: it may be a secret, possibly in the wrong setting.
 */

const words = new WeakMap<object, string>();

/** A schema with a description of its values, which ends the sentence "it takes …". */
function kind<T extends z.ZodType>(takes: string, schema: T): T {
  words.set(schema, takes);
  return schema;
}

/** The description of a setting's values: that of its kind, whatever wraps the schema (e.g. a default). */
export function takes(schema: z.ZodType): string {
  const found = words.get(schema);
  if (found !== undefined) return found;
  const { innerType, in: input } = schema.def as { innerType?: z.ZodType; in?: z.ZodType };
  const inner = innerType ?? input;
  return inner === undefined ? "something else" : takes(inner);
}

/**
 * Schemas that are made when they are first read: a function reads a few of the settings, and a cold start would pay for
 * all of them.
 */
export function onDemand<T extends Readonly<Record<string, () => z.ZodType>>>(
  makers: T,
): { readonly [Name in keyof T]: ReturnType<T[Name]> } {
  const made = {};
  for (const [name, make] of Object.entries(makers)) {
    let schema: z.ZodType | undefined;
    const get = () => {
      schema ??= make();
      return schema;
    };
    Object.defineProperty(made, name, { get, enumerable: true });
  }
  return made as { readonly [Name in keyof T]: ReturnType<T[Name]> };
}

/** With commas. Not by `toLocaleString`, whose tables take 17 ms of a cold start to load. */
const number = (value: number) => String(value).replace(/\B(?=(?:\d{3})+$)/g, ",");
const oneOf = (names: readonly string[]) => `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
/** As people and programs write them: no 0x10, no 1e3, no blanks. */
const digits = /^[+-]?\d+(\.\d+)?$/;
const numeric = <T extends z.ZodType<number, number>>(schema: T) =>
  z.string().regex(digits).transform(Number).pipe(schema);

/** Line ends come from copied files and would make an invalid header. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
const control = /[\u0000-\u001f\u007f]/;
const isText = (value: string) => value !== "" && value.trim() === value && !control.test(value);
export const text = (what: string) =>
  kind(`${what}, without blanks or line ends around it`, z.string().refine(isText));
const queue = () => text("a queue's address");
/** A token or key, which travels in a header. */
const secret = (what: string) =>
  kind(
    `${what} alone: visible ASCII, no blanks, no quotes, no Bearer`,
    z
      .string()
      .regex(/^[\x21-\x7e]+$/)
      .refine((value) => !/^(["']).*\1$/.test(value)),
  );
const flag = () =>
  kind(
    "1, true, 0 or false",
    z
      .string()
      .toLowerCase()
      .pipe(z.enum(["0", "1", "true", "false"]))
      .transform((value) => value === "1" || value === "true"),
  );
export const whole = (min: number, max: number, what = "a whole number") =>
  kind(`${what} from ${number(min)} to ${number(max)}, in digits alone`, numeric(z.int().min(min).max(max)));
const seconds = (max: number) =>
  kind(
    `seconds, above 0 and at most ${number(max)}, as a number without a unit`,
    numeric(z.number().gt(0).max(max)),
  );
/** A limit, or `none`. */
const mostly = (usual: number) =>
  kind(
    "none, or a whole number from 1 in digits alone",
    z.union([z.literal("none").transform(() => null), numeric(z.int().min(1).max(1e15))]),
  ).default(usual);
export const choice = <const T extends readonly [string, ...string[]]>(names: T, inUpperCase = false) =>
  kind(
    oneOf(names),
    z
      .string()
      .transform((value) => (inUpperCase ? value.toUpperCase() : value))
      .pipe(z.enum(names)),
  );

/** Most calls at a time that a queue makes: what AWS allows for a mapping. */
export const concurrency = () => whole(2, 1_000);

const split = (value: string) =>
  value
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
const list = (of: string, isOne: (part: string) => boolean) =>
  kind(
    `${of}; several are separated by commas`,
    z
      .string()
      .transform(split)
      .refine((parts) => parts.every(isOne)),
  );

/** The address of a server: the text that is appended to it must become a path. */
function isAddress(value: string): boolean {
  const url = /^https?:\/\//i.test(value) && isText(value) ? URL.parse(value) : null;
  return url !== null && url.username === "" && url.password === "" && url.search === "" && url.hash === "";
}
export const address = (example: string, more: (value: string) => boolean = () => true) =>
  kind(
    `an address with http:// or https:// such as ${example}, without user, password or query`,
    z.string().refine((value) => isAddress(value) && more(value)),
  );

/** An API key for machines that cost money is sent only over TLS or within this machine (a test's server). */
function isPrivateEnough(value: string): boolean {
  const { protocol, hostname } = new URL(value);
  return protocol === "https:" || /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(hostname);
}

const providersAddress = () =>
  kind(
    "an address that begins with https://, or with http:// on this machine",
    z.string().refine((value) => isAddress(value) && isPrivateEnough(value)),
  );
const isPodId = (text: string) => podIdPattern.test(text);
const above = (max: number) => numeric(z.number().gt(0).max(max));

/** Schemes that @libsql/client opens; a path has none, and the drive letter of `C:\keys.db` is not one. */
const schemes = ["libsql", "https", "http", "wss", "ws"];
function isDatabase(value: string): boolean {
  if (!isText(value)) return false;
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(value)?.[1]?.toLowerCase();
  if (scheme === "file" || value === ":memory:") return true;
  // A single word such as `mysql` is meant as a kind of database, but would create a file of that name.
  if (scheme === undefined) return /[./\\]/.test(value);
  return schemes.includes(scheme) && /^[a-z]+:\/\/[^/]/i.test(value) && URL.canParse(value);
}
const database = () =>
  kind(
    "libsql://…, https://… or http://…, or on a laptop file:PATH: a libSQL or SQLite database, no Postgres or MySQL",
    z.string().refine(isDatabase),
  );

/** As `Origin` has it; middy's CORS takes a `*` within, too. */
const isOrigin = (part: string) =>
  part === "*" || part === "null" || /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@]+$/i.test(part);

/** An IP address is refused because it would never match (core/run/source/hosts.ts). */
const isHost = (part: string) => /^[a-z0-9*]([a-z0-9*.-]*[a-z0-9*])?$/i.test(part) && isIP(part) === 0;

/** As the Standard Webhooks scheme has it: 24 to 64 bytes in base64. */
const webhookSecret = /^whsec_[A-Za-z0-9+/]{32,86}={0,2}$/;

/** Secrets whose expiry can be set: every secret of a stage, and the deployment's token. */
export const dated: readonly string[] = [...Object.keys(secrets), "CLOUDFLARE_API_TOKEN"];
const day = () => z.union([z.iso.date(), z.iso.datetime({ offset: true })]);
/** Names of secrets with the day on which each ends (00:00 UTC), or the minute. */
const ends = () =>
  kind(
    `NAME=DATE, such as S3_SECRET_ACCESS_KEY=2027-06-30, several separated by commas; the names are ${oneOf(dated)}`,
    z.string().transform((value, context) => {
      const found = new Map<string, Date>();
      const days = day();
      for (const part of split(value)) {
        const [name = "", when = ""] = part.split("=").map((each) => each.trim());
        const end = days.safeParse(when);
        if (end.success && dated.includes(name)) found.set(name, new Date(end.data));
        else context.addIssue({ code: "custom" });
      }
      return found;
    }),
  );

/** By section: what is read together. */
export const settings = {
  app: onDemand({
    OCRLTY_STAGE: () =>
      kind("the stage's name: letters, digits, - and _", z.string().regex(/^[A-Za-z0-9_-]+$/)).default(
        "local",
      ),
    OCRLTY_TIME_SCALE: () =>
      kind("a number above 0 and at most 1", numeric(z.number().gt(0).max(1))).default(1),
    DEBUG_MODE: () => flag().optional(),
    CORS_ALLOW_ORIGINS: () =>
      list("* or origins such as https://app.example, without a trailing slash", isOrigin).default([]),
    LOG_LEVEL: () => choice(["DEBUG", "INFO", "WARN", "ERROR", "SILENT"], true).default("INFO"),
    POD_MANAGER: () => choice(["off", "on"]).default("off"),
  }),
  pod: onDemand({
    POD_PROVIDER: () => choice(["runpod", "vast"]).optional(),
    POD_ID: () =>
      kind("a pod's id: up to 64 letters, digits, - and _", z.string().refine(isPodId)).optional(),
    POD_IDS: () => list("ids of pods: up to 64 letters, digits, - and _ each", isPodId).optional(),
    POD_IDLE_STOP_MINUTES: () => whole(1, 1_440, "minutes as a whole number").default(15),
    POD_MAX_HOURS_PER_DAY: () =>
      kind("hours above 0 and at most 24, as a number without a unit", above(24)).optional(),
    POD_MAX_DOLLARS_PER_DAY: () =>
      kind(
        "an amount above 0 and at most 100,000, with a point and without a currency, such as 7.50",
        above(100_000),
      ).optional(),
    POD_KEEP_WARM: () =>
      kind(
        "a daily window with its time zone, such as 08:00-18:00 Europe/Berlin",
        z.string().transform((value, context) => {
          const window = windowOf(value);
          if (window === undefined) context.addIssue({ code: "custom" });
          return window ?? z.NEVER;
        }),
      ).optional(),
    RUNPOD_API_KEY: () => secret("RunPod's key").optional(),
    RUNPOD_API_URL: () => providersAddress().default("https://api.runpod.io/v2"),
    VAST_API_KEY: () => secret("Vast.ai's key").optional(),
    VAST_API_URL: () => providersAddress().default("https://console.vast.ai"),
  }),
  auth: onDemand({
    AUTH_ENABLED: () => flag().default(true),
    // Any characters are accepted: changing it would invalidate all keys.
    API_KEY_PEPPER: () => kind("a secret of at least 16 characters", z.string().min(16)).optional(),
  }),
  model: onDemand({
    VLLM_BASE_URL: () => address("http://127.0.0.1:8001/v1"),
    VLLM_API_KEY: () => secret("the server's key").optional(),
    VLLM_MODEL: () => text("the model's name as the server lists it").default("Qwen/Qwen3-VL-8B-Instruct"),
    VLLM_MAX_MODEL_LEN: () => whole(1024, 1_000_000).optional(),
    VLLM_MAX_TOKENS: () => whole(16, 100_000).optional(),
    VLLM_MAX_IMAGES: () => whole(1, 64).default(4),
    VLLM_PROFILE: () => choice(profileNames).optional(),
    VLLM_MAX_PIXELS: () => whole(65_536, 100_000_000).optional(),
    VLLM_IMAGE_URLS: () => choice(["off", "on"]).default("off"),
    LOOK: () => choice(["on", "off"]).default("on"),
    VLLM_CONNECT_TIMEOUT_S: () => seconds(60).default(5),
    VLLM_READ_TIMEOUT_S: () => seconds(600).default(90),
  }),
  bucket: onDemand({
    S3_BUCKET: () =>
      kind(
        "the bucket's name alone, without s3:// or a path",
        z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/),
      ),
    S3_ENDPOINT_URL: () => address("https://ACCOUNT.r2.cloudflarestorage.com").optional(),
    S3_REGION: () =>
      kind("a region's name, such as auto or us-east-1", z.string().regex(/^[A-Za-z0-9-]+$/)).default("auto"),
    S3_PREFIX: () =>
      text("the text in front of every key")
        .transform((value) => value.replace(/^\/+|\/+$/g, ""))
        .default(""),
    S3_ALLOW_OVERWRITE: () => flag().default(false),
    S3_PRESIGN_TTL_S: () => whole(1, 604_800, "seconds as a whole number").default(900),
    S3_FORCE_PATH_STYLE: () => flag().default(false),
    S3_ACCESS_KEY_ID: () => secret("the access key's id"),
    S3_SECRET_ACCESS_KEY: () => secret("the access key's secret"),
  }),
  database: onDemand({
    DATABASE_URL: () => database(),
    DATABASE_AUTH_TOKEN: () => secret("the database's token").optional(),
  }),
  queues: onDemand({
    PLAN_QUEUE_URL: () => queue(),
    ITEM_QUEUE_URL: () => queue(),
    SINGLE_QUEUE_URL: () => queue(),
    LATER_QUEUE_URL: () => queue(),
    URGENT_QUEUE_URL: () => queue(),
  }),
  batch: onDemand({
    IMAGE_URL_HOSTS: () =>
      list("names of hosts such as *.example.com, without https://, port or path, or *", isHost).optional(),
  }),
  webhook: onDemand({
    WEBHOOK_SECRET: () =>
      kind(
        "whsec_ and 24 to 64 bytes in base64, or two of these, separated by a comma, while one is replaced",
        z
          .string()
          .transform(split)
          .refine((parts) => parts.length <= 2 && parts.every((part) => webhookSecret.test(part))),
      ).default([]),
    WEBHOOK_ALLOW_PRIVATE: () => flag().default(false),
  }),
  retention: onDemand({
    RETENTION_DAYS: () => whole(1, 36_500, "days as a whole number").optional(),
  }),
  usage: onDemand({
    GPU_COST_PER_HOUR: () =>
      kind(
        "an amount from 0 to 1,000, with a point and without a currency, such as 0.79",
        numeric(z.number().min(0).max(1_000)),
      ).optional(),
  }),
  expiry: onDemand({
    CREDENTIALS_EXPIRE: () => ends().optional(),
  }),
  planner: onDemand({
    ITEM_MAX_CONCURRENCY: () => concurrency().default(16),
  }),
} as const;

/** Settings that only commands read; they are separate so that no function carries them. */
export const commandSettings = {
  newKey: onDemand({
    DEFAULT_REQUESTS_PER_MINUTE: () => mostly(60),
    DEFAULT_ITEMS_PER_DAY: () => mostly(5_000),
    DEFAULT_MAX_RUN_ITEMS: () => mostly(10_000),
    DEFAULT_MAX_IN_FLIGHT: () => mostly(8),
    DEFAULT_MAX_STORED_BYTES: () => mostly(20_000_000_000),
  }),
} as const;
