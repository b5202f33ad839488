/**
 * The findings of `ocrlty doctor` about settings: everything that `npm start`, the commands and `sst deploy` would
 * refuse.
 */
import * as dotenv from "dotenv";
import { type Env, envText, home } from "#local/home/home";
import * as Settings from "#local/home/settings";
import * as Concurrency from "#spec/concurrency";
import * as Jurisdiction from "#spec/jurisdiction";
import { type Finding, finding } from "./finding.ts";

const accepts = ".env.example says what each accepts";
const wrong = (found: string, cure = accepts) => finding("settings", "wrong", found, cure);

/** @param dotenvText - the `.env` that goes with this environment. */
export function findings(env: Env, dotenvText = envText()): Finding[] {
  const inFile = Object.keys(dotenv.parse(dotenvText));
  const refused = [
    ...Settings.refusals(env, inFile).map(({ message }) => wrong(message)),
    ...ofDeployment(env).map((message) => wrong(message)),
    ...Settings.strayLines(dotenvText).map((line) => wrong(strayLine(line), "write NAME=value")),
  ];
  const passedOver = [...dataRoot(env), ...bucketless(env)];
  if (refused.length > 0) return [...refused, ...passedOver];
  const set = Settings.names.filter((name) => env[name]).length;
  const status = set === 0 ? "none is set" : set === 1 ? "1 is set, and fits" : `${set} are set, and fit`;
  return [finding("settings", "ok", status), ...passedOver];
}

/** True if the settings of a database can be used. */
export const hasDatabase = (env: Env): boolean =>
  !Settings.refusals(env, []).some(({ variables }) => variables.some((name) => /^DATABASE_/.test(name)));

const strayLine = (line: number): string => `line ${line} of .env sets no variable`;

/** Only `sst deploy` reads it, and reports the same some minutes later. */
function ofDeployment(env: Env): string[] {
  const looks = [() => Concurrency.reserved(env), () => Jurisdiction.jurisdiction(env)];
  return [
    ...looks.flatMap((look) => {
      try {
        look();
        return [];
      } catch (error) {
        return error instanceof Error ? [error.message] : [];
      }
    }),
    ...(env.ALARM_EMAIL && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(env.ALARM_EMAIL)
      ? ["ALARM_EMAIL is not valid: it takes an address such as ops@example.com"]
      : []),
  ];
}

function dataRoot(env: Env): Finding[] {
  const missing = Settings.missingDataRoot(env, home(env));
  return missing === undefined ? [] : [wrong(missing, "make it, or name another folder")];
}

/** An incomplete bucket counts as none, and the loop uses its own. */
function bucketless(env: Env): Finding[] {
  const set = ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"].filter((name) => env[name]);
  if (set.length === 0 || Settings.hasBucket(env)) return [];
  const found = `${set.join(" and ")} ${set.length === 1 ? "has" : "have"} no effect without S3_BUCKET`;
  return [finding("settings", "note", found, "set S3_BUCKET, or unset it")];
}
