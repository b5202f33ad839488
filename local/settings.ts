/** Settings of the local loop: no function ever has them, so they are no part of core/setting.ts and its bundles. */
import * as Config from "#core/config";
import * as Setting from "#core/setting";
import type { Env } from "#local/home";

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
