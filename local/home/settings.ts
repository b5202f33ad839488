/** Settings of the local loop: no function uses them, so they are not in core/setting.ts and its bundles. */
import * as fs from "node:fs";
import leven from "leven";
import * as Config from "#core/config";
import * as Settings from "#core/pod/settings";
import * as Setting from "#core/setting";
import type { Env, Home } from "./home.ts";

const { address, choice, concurrency, text, whole } = Setting;
const port = whole(0, 65_535, "a port number (0: any free one)");

export const programs = {
  ports: {
    PORT: port.default(8080),
    BUCKET_PORT: port.optional(),
  },
  loop: {
    LOG_FORMAT: choice(["json", "text"]).default("json"),
    OCRLTY_HOME: text("a folder").default(".ocrlty"),
    DATA_ROOT: text("a folder").optional(),
    AWS_ENDPOINT_URL_SQS: address("http://127.0.0.1:9324").optional(),
    SINGLE_MAX_CONCURRENCY: concurrency().optional(),
  },
} as const;

/**
 * Settings that other code reads: commands, `sst deploy`, and the loop in place of others (core/config.ts,
 * withAliases).
 */
const others: readonly string[] = [
  ...[
    "OCRLTY_URL",
    "OCRLTY_API_KEY",
    "OCRLTY_PROFILE",
    "OCRLTY_PROGRAM",
    "OCRLTY_LAUNCHER_PID",
    "AUTH_DB_PATH",
  ],
  ...["RESERVED_CONCURRENCY", "R2_JURISDICTION", "ALARM_EMAIL", "OCRLTY_DOMAIN", "OCRLTY_SMOKE_KEY"],
];

/**
 * Their values. Only the code that opens a port reads its setting.
 * @throws ConfigError with the name of every wrong one and its valid values, in one line.
 */
export const ports = (env: Env) => Config.check(programs.ports, env);
export const loop = (env: Env) => Config.check(programs.loop, env);
const { AWS_ENDPOINT_URL_SQS } = programs.loop;
/** The queues' server alone, for commands. @throws ConfigError. */
export const sqs = (env: Env) => Config.check({ AWS_ENDPOINT_URL_SQS }, env);

/** The bucket of the loop's S3 stand-in. */
export const bucketName = "ocrlty";
/** Placeholders for settings that are checked before the stand-in runs. */
export const bucketStandIn = { S3_BUCKET: bucketName, S3_ACCESS_KEY_ID: "-", S3_SECRET_ACCESS_KEY: "-" };

/** Whether the operator has named a bucket, so that no stand-in runs. */
export const hasBucket = (env: Env): boolean => Boolean(env.S3_ENDPOINT_URL || env.S3_BUCKET);

/** What is wrong with the folder that DATA_ROOT names; undefined if it is valid. */
export function missingDataRoot(env: Env, { dataRoot }: Pick<Home, "dataRoot">): string | undefined {
  if (!env.DATA_ROOT || fs.statSync(dataRoot, { throwIfNoEntry: false })?.isDirectory()) return undefined;
  return `DATA_ROOT: there is no folder ${dataRoot}`;
}

/** Every check of the settings of a loop and of its commands, one at a time. */
function looksAt(env: Env): (() => void)[] {
  const given = {
    ...env,
    ...(env.VLLM_BASE_URL ? {} : { VLLM_BASE_URL: "http://127.0.0.1/v1" }),
    ...(hasBucket(env) ? {} : bucketStandIn),
    ...(env.DATABASE_URL ? {} : { DATABASE_URL: "file:" }),
  };
  // The loop itself sets the addresses of the queues.
  const sections = Config.sections.filter((name) => name !== "queues");
  return [
    ...sections.map((section) => () => void Config.parse(section, given)),
    () => void loop(env),
    // They are for commands; checking them here shows mistakes while the user is watching.
    () => void Settings.of(env),
    () => void Config.newKeyLimitsOf(env),
  ];
}

/** Reports a wrong setting before anything starts, and not in the first function that needs it. @throws ConfigError. */
export function check(env: Env): void {
  for (const look of looksAt(env)) look();
}

/**
 * The same, but with all mistakes, including ports and names.
 * @param inFile - the names that `.env` sets.
 */
export function refusals(env: Env, inFile: readonly string[]): Config.ConfigError[] {
  const looks = [...looksAt(env), () => void ports(env), () => refuseMisspelled(env, inFile)];
  return looks.flatMap((look) => {
    try {
      look();
      return [];
    } catch (error) {
      if (error instanceof Config.ConfigError) return [error];
      throw error;
    }
  });
}

/**
 * The lines of a `.env` that set nothing: neither empty nor a comment nor `NAME=value`, so that its reader passes over them.
 * Counted from 1.
 */
export function strayLines(text: string): number[] {
  // A value in quotes may have several lines.
  const single = text.replace(
    /(=\s*)(["'`])[\s\S]*?\2/g,
    (value, before: string) => before + value.replace(/[^\n]/g, ""),
  );
  return single
    .split(/\r?\n/)
    .flatMap((line, i) => (/^\s*(?:#.*)?$|^\s*(?:export\s+)?[\w.-]+\s*(?:=|:\s)/.test(line) ? [] : [i + 1]));
}

/** Every variable that our programs read, except those that `sst deploy` sets. */
export const names: readonly string[] = [
  ...Config.names,
  ...Object.values(programs).flatMap(Object.keys),
  ...others,
];

/** Shorter names are similar to everything: PATH is two letters from PORT. */
const shortest = 8;
/** Names with these prefixes belong only to this product; names of AWS are never checked. */
const ours = /^(OCRLTY|VLLM|S3|RUNPOD|WEBHOOK|BUCKET)_/;
const theirs = /^AWS_/;

/**
 * Refuses unknown names that are similar to a setting's, such as `VLLM_BASEURL`: the setting would have no effect.
 * Checked are names in `.env`, and names in the environment that have one of our prefixes. If the correct name is set
 * as well, there is no error.
 * @throws ConfigError with each name and the one that was meant.
 */
export function refuseMisspelled(env: Env, inFile: readonly string[]): void {
  const wrong = Object.keys(env)
    .filter((name) => !names.includes(name) && name.length >= shortest && !theirs.test(name) && env[name])
    .filter((name) => inFile.includes(name) || ours.test(name))
    .flatMap((name) => {
      const [meant] = names.filter(
        (each) => each.length >= shortest && leven(plain(each), plain(name)) <= 2 && !env[each],
      );
      return meant === undefined ? [] : [{ name, meant }];
    });
  if (wrong.length > 0)
    throw new Config.ConfigError(
      wrong.map(({ name }) => name),
      wrong.map(({ name, meant }) => `${name} is not a setting: did you mean ${meant}?`).join("; "),
    );
}

const plain = (name: string) => name.toUpperCase().replaceAll("_", "");
