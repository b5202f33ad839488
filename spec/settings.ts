import type { Link } from "./functions.ts";

/**
 * Where a deployed function finds each variable of core/config.ts: plain data, and the tables name each of them
 * exactly once. A linked value reaches the function through SST's encrypted links, under the variable's name, and never
 * through an environment variable.
 */

/** `auth` is linked to the functions behind routes, every other link to the functions that name it in functions.ts. */
export type LinkName = Link | "auth";

/**
 * The secrets that `npx sst secret set NAME value` stores for a stage, by variable. An optional one is empty unless it
 * is set.
 */
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
  VAST_API_KEY: { secret: "VastApiKey", link: "pod", optional: true },
} as const satisfies Record<string, { secret: string; link: LinkName; optional?: true }>;

/** Values that the deployment derives itself; so are the addresses of the queues (queues.ts). */
export const derived = {
  /** The stage's name. */
  OCRLTY_STAGE: { link: "app" },
  /**
   * The bucket that the stage makes on R2, or the one that the deploying environment names next to S3_ENDPOINT_URL
   * (storage.ts).
   */
  S3_BUCKET: { link: "bucket" },
  /** The S3 address of the Cloudflare account, or of another S3. */
  S3_ENDPOINT_URL: { link: "bucket" },
  /** "auto", which R2 requires, unless another S3 is named. */
  S3_REGION: { link: "bucket" },
} as const satisfies Record<string, { link: LinkName | "app" }>;

/**
 * Settings that `sst deploy` passes from its own environment, if set, to the functions with that link; `app` means all
 * functions.
 */
export const plain = {
  app: ["DEBUG_MODE", "CORS_ALLOW_ORIGINS", "LOG_LEVEL", "POD_MANAGER"],
  model: [
    "VLLM_MODEL",
    "VLLM_MAX_MODEL_LEN",
    "VLLM_MAX_TOKENS",
    "VLLM_MAX_IMAGES",
    "VLLM_PROFILE",
    "VLLM_MAX_PIXELS",
    "VLLM_IMAGE_URLS",
    "LOOK",
    "VLLM_CONNECT_TIMEOUT_S",
    "VLLM_READ_TIMEOUT_S",
  ],
  bucket: ["S3_PREFIX", "S3_ALLOW_OVERWRITE", "S3_PRESIGN_TTL_S", "S3_FORCE_PATH_STYLE"],
  // The functions that accept batches, plan them and fetch their pictures all have queues.
  queues: ["IMAGE_URL_HOSTS", "ITEM_MAX_CONCURRENCY"],
  database: ["GPU_COST_PER_HOUR", "RETENTION_DAYS", "CREDENTIALS_EXPIRE"],
  pod: [
    "POD_PROVIDER",
    "POD_ID",
    "POD_IDS",
    "POD_IDLE_STOP_MINUTES",
    "POD_MAX_HOURS_PER_DAY",
    "POD_MAX_DOLLARS_PER_DAY",
    "POD_KEEP_WARM",
    "RUNPOD_API_URL",
    "VAST_API_URL",
  ],
} as const satisfies Partial<Record<LinkName | "app", readonly string[]>>;

/** Only for the local loop; a deployed stage refuses them. */
export const localOnly = ["AUTH_ENABLED", "OCRLTY_TIME_SCALE", "WEBHOOK_ALLOW_PRIVATE"] as const;

/** Only for the operator's command `keys`: no function reads them, and no deployment passes them on. */
export const commandOnly = [
  "DEFAULT_REQUESTS_PER_MINUTE",
  "DEFAULT_ITEMS_PER_DAY",
  "DEFAULT_MAX_RUN_ITEMS",
  "DEFAULT_MAX_IN_FLIGHT",
  "DEFAULT_MAX_STORED_BYTES",
] as const;

/** "single" → "Single", "deadLetter" → "DeadLetter": the name of a resource from its entry in a table. */
export const pascal = (name: string) => name.charAt(0).toUpperCase() + name.slice(1);
