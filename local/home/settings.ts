/** Settings of the local loop: no function ever has them, so they are no part of core/setting.ts and its bundles. */
import leven from "leven";
import * as Config from "#core/config";
import * as Setting from "#core/setting";
import type { Env } from "./home.ts";

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
    ITEM_MAX_CONCURRENCY: concurrency.optional(),
    SINGLE_MAX_CONCURRENCY: concurrency.optional(),
  },
} as const;

/** What is read elsewhere: by commands, by `sst deploy` and by the loop in the place of others (core/config.ts, withAliases). */
export const others: readonly string[] = [
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
 * What they say; a port is asked for by who takes one.
 * @throws ConfigError with every wrong one's name and what it takes, in one line.
 */
export const ports = (env: Env) => Config.check(programs.ports, env);
export const loop = (env: Env) => Config.check(programs.loop, env);

/** Shorter names are near everything: PATH is two letters from PORT. */
const shortest = 8;
/** Names that begin so are nobody else's, wherever they stand; and AWS's are never ours to judge. */
const ours = /^(OCRLTY|VLLM|S3|RUNPOD|WEBHOOK|BUCKET)_/;
const theirs = /^AWS_/;

/**
 * Refuses names that nobody reads and that are nearly a setting's, `VLLM_BASEURL`: whoever set one has another product
 * running than he thinks. In `.env`, which is ours, and in the environment where the name begins like ours alone. A setting
 * that is there under its right name, too, is left in peace.
 * @throws ConfigError with each name and the one that was meant.
 */
export function refuseMisspelled(env: Env, inFile: readonly string[]): void {
  const known = [...Config.names, ...Object.values(programs).flatMap(Object.keys), ...others];
  const wrong = Object.keys(env)
    .filter((name) => !known.includes(name) && name.length >= shortest && !theirs.test(name) && env[name])
    .filter((name) => inFile.includes(name) || ours.test(name))
    .flatMap((name) => {
      const [meant] = known.filter(
        (each) => each.length >= shortest && leven(plain(each), plain(name)) <= 2 && !env[each],
      );
      return meant === undefined ? [] : [{ name, meant }];
    });
  if (wrong.length > 0)
    throw new Config.ConfigError(
      wrong.map(({ name }) => name),
      wrong.map(({ name, meant }) => `${name} is no setting: did you mean ${meant}?`).join("; "),
    );
}

const plain = (name: string) => name.toUpperCase().replaceAll("_", "");
