import type { Link } from "./functions.ts";

/**
 * Where a deployed function finds each variable of core/config.ts: plain data, and the tables name each of them
 * exactly once. A linked value reaches the function in SST's encrypted links, under the variable's own name, and is
 * in no environment variable.
 */

/** `auth` is linked to the functions behind routes, the others to those that ask for them in functions.ts. */
export type LinkName = Link | "auth";

/** What `npx sst secret set NAME value` keeps for a stage, by variable. An optional one is empty unless it is set. */
export const secrets = {
  API_KEY_PEPPER: { secret: "ApiKeyPepper", link: "auth" },
  DATABASE_URL: { secret: "DatabaseUrl", link: "database" },
  DATABASE_AUTH_TOKEN: { secret: "DatabaseAuthToken", link: "database" },
  S3_ACCESS_KEY_ID: { secret: "S3AccessKeyId", link: "bucket" },
  S3_SECRET_ACCESS_KEY: { secret: "S3SecretAccessKey", link: "bucket" },
  VLLM_BASE_URL: { secret: "VllmBaseUrl", link: "model" },
  VLLM_API_KEY: { secret: "VllmApiKey", link: "model", optional: true },
  WEBHOOK_SECRET: { secret: "WebhookSecret", link: "webhook", optional: true },
  RUNPOD_API_KEY: { secret: "RunpodApiKey", link: "pod", optional: true },
} as const satisfies Record<string, { secret: string; link: LinkName; optional?: true }>;

/** What the deployment knows by itself; the addresses of the queues (queues.ts) are more of them. */
export const derived = {
  /** The stage's name. */
  OCRLTY_STAGE: { link: "app" },
  /** The bucket that the stage makes on R2, or what the deploying environment says beside S3_ENDPOINT_URL (storage.ts). */
  S3_BUCKET: { link: "bucket" },
  /** The Cloudflare account's address, or another S3's. */
  S3_ENDPOINT_URL: { link: "bucket" },
  /** "auto", as R2 wants it, unless another S3 is named. */
  S3_REGION: { link: "bucket" },
} as const satisfies Record<string, { link: LinkName | "app" }>;

/** What is passed on from the environment of `sst deploy` where it is set there, to the functions with that link; `app` is all. */
export const plain = {
  app: ["DEBUG_MODE", "CORS_ALLOW_ORIGINS", "LOG_LEVEL"],
  model: [
    "VLLM_MODEL",
    "VLLM_MAX_MODEL_LEN",
    "VLLM_MAX_TOKENS",
    "VLLM_MAX_IMAGES",
    "VLLM_CONNECT_TIMEOUT_S",
    "VLLM_READ_TIMEOUT_S",
  ],
  bucket: ["S3_PREFIX", "S3_ALLOW_OVERWRITE", "S3_PRESIGN_TTL_S", "S3_FORCE_PATH_STYLE"],
  // Who takes batches in, plans them and fetches for them all have queues.
  queues: ["IMAGE_URL_HOSTS"],
  database: ["GPU_COST_PER_HOUR", "RETENTION_DAYS", "CREDENTIALS_EXPIRE"],
} as const satisfies Partial<Record<LinkName | "app", readonly string[]>>;

/** Of the local loop alone; a deployed stage refuses them. */
export const localOnly = ["AUTH_ENABLED", "OCRLTY_TIME_SCALE", "WEBHOOK_ALLOW_PRIVATE"] as const;

/** Of the operator's commands `pod` and `keys`, wherever they run: no function reads them, and no deployment takes them along. */
export const commandOnly = [
  "POD_ID",
  "RUNPOD_API_URL",
  "DEFAULT_REQUESTS_PER_MINUTE",
  "DEFAULT_ITEMS_PER_DAY",
  "DEFAULT_MAX_RUN_ITEMS",
  "DEFAULT_MAX_IN_FLIGHT",
  "DEFAULT_MAX_STORED_BYTES",
] as const;

/** "single" → "Single", "deadLetter" → "DeadLetter": how a resource is named after its entry in a table. */
export const pascal = (name: string) => name.charAt(0).toUpperCase() + name.slice(1);
