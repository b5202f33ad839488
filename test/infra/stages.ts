/** The three kinds of stages as they are deployed, and a personal one as `sst dev` makes it, with the same bundles. */
import { type Bundle, bundle } from "#local/bundle/bundle";
import { type FunctionSpec, functions } from "#spec/functions";
import { secrets } from "#spec/settings";
import { bundleProgram, type Synthesis, synthesize } from "./synthesis.ts";

export const handlers = Object.fromEntries(
  Object.entries<FunctionSpec>(functions).map(([name, { handler }]) => [name, handler]),
);

/** The settings that every stage needs; the secrets' values may appear only in the links. */
const needed = {
  ...Object.fromEntries(
    Object.entries(secrets).flatMap(([variable, { secret }]) => [
      [`SST_SECRET_${secret}`, `canary-${secret}`],
      // A person who deploys may have them in the `.env` of a laptop.
      [variable, `canary-${variable}`],
    ]),
  ),
  CLOUDFLARE_DEFAULT_ACCOUNT_ID: "account",
};

/** The environment of `sst deploy` by stage: complete, partial, and only what is needed. */
export const environments = {
  production: {
    ...needed,
    CORS_ALLOW_ORIGINS: "https://app.example.com, https://admin.example.com",
    SINGLE_MAX_CONCURRENCY: "6",
    VLLM_MODEL: "some/model",
    ALARM_EMAIL: "ops@example.com",
    POD_MANAGER: "on",
    POD_PROVIDER: "runpod",
    POD_ID: "xedezhzb9la3ye",
  },
  staging: {
    ...needed,
    S3_PREFIX: "/team/receipts/",
    R2_JURISDICTION: "eu",
    CORS_ALLOW_ORIGINS: "https://app.example.com",
    ITEM_MAX_CONCURRENCY: "32",
    OCRLTY_DOMAIN: "api.example.com",
    RESERVED_CONCURRENCY: "reconcile=1, single=4",
  },
  anna: needed,
} as const satisfies Record<string, Record<string, string>>;
export type Stage = keyof typeof environments;

export interface Stages extends Record<Stage, Synthesis> {
  bundle: Bundle;
  /** `anna` under `sst dev`. */
  live: Synthesis;
  /** Stages that use another S3: a new one, and one that keeps the bucket that was made for it before. */
  elsewhere: Synthesis;
  kept: Synthesis;
}

/** Another S3, as the deploying environment configures it. */
const another = {
  S3_ENDPOINT_URL: "https://s3.example.com:9000",
  S3_BUCKET: "receipts",
  S3_REGION: "eu-north-1",
  S3_FORCE_PATH_STYLE: "1",
};

/**
 * Makes all of them, one after another, because each occupies a processor for seconds that the loops of other tests
 * need. @throws the program's own message if one fails.
 */
export async function stages(): Promise<Stages> {
  const bundled = await bundle({ handlers, minify: true });
  const common = { program: await bundleProgram(), bundle: bundled, handlers };
  const make = (stage: Stage, how: { dev?: boolean; packed?: boolean } = {}) =>
    synthesize({ ...common, stage, env: environments[stage], ...how });
  const move = (env: Record<string, string>, made: string[]) =>
    synthesize({ ...common, stage: "staging", env: { ...environments.staging, ...another, ...env }, made });
  const made = {
    production: await make("production", { packed: true }),
    staging: await make("staging"),
    anna: await make("anna"),
    live: await make("anna", { dev: true }),
    elsewhere: await move({}, []),
    kept: await move({ R2_BUCKET_LEFT: "ocrlty-staging-bucket" }, ["Bucket"]),
  };
  bundled.release();
  return { bundle: bundled, ...made };
}
