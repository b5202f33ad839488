import * as z from "zod";
import * as Config from "#core/config";
import type * as Database from "#core/db/database";
import { AppError } from "#core/error";
import * as Ending from "#core/key/ending";
import type { Log } from "#core/log";
import * as Metrics from "#core/metrics/metrics";
import { expiries as limits } from "#spec/limits";

/*
 * When secrets expire. An expired token stops the whole stage, so every known expiry is reported in time.
 *
 * - A JWT (Turso's tokens) contains its expiry in the claim `exp` (RFC 7519, 4.1.4: seconds since 1970, UTC).
 * - For other tokens (R2's) the operator sets `CREDENTIALS_EXPIRE`.
 * - API keys have theirs in the database.
 */

const dayMs = 86_400_000;

const Expiry = z
  .object({
    name: z.string().meta({
      description: "Which secret: the name of its setting, or the id of an API key. Never its value.",
    }),
    expires_at: z
      .string()
      .nullable()
      .meta({ description: "When it ends; null: its token says itself that it has no end." }),
    days_left: z
      .int()
      .nullable()
      .meta({ description: "Whole days until then, rounded down; below zero: it has ended." }),
    state: z.enum(["ok", "soon", "ended"]).meta({
      description: `\`soon\`: within ${limits.warnDays} days. API keys that were made for less than ${limits.shortLivedDays} days are never \`soon\`: they are meant to end.`,
    }),
  })
  .meta({ id: "Expiry" });
type Expiry = z.output<typeof Expiry>;

/** What expires when, soonest first. */
export const Expiries = z
  .object({
    ok: z.boolean().meta({
      description:
        "Nothing ends soon, and no setting's secret has ended. It changes neither status nor `ok` of the answer.",
    }),
    settings: z.array(Expiry).nullable().meta({
      description:
        "Secrets of the stage whose end is known: from the token itself, or from the setting `CREDENTIALS_EXPIRE`. null: that setting cannot be read.",
    }),
    keys: z
      .array(Expiry)
      .nullable()
      .meta({
        description: `API keys that end within ${limits.listDays} days or have ended in the last ${limits.endedDays}, at most ${limits.mostKeys}; revoked ones are left out. null: the database could not be read.`,
      }),
  })
  .meta({
    id: "Expiries",
    description: "When secrets end: shown to keys with an `admin:` scope only.",
  });
export type Expiries = z.output<typeof Expiries>;

/**
 * The end that a token states; null: it is a JWT without one; undefined: it is not a JWT, so nothing can be known. The
 * signature is not checked: nothing is authorized by this.
 */
export function endOf(token: string): Date | null | undefined {
  const parts = token.split(".");
  if (parts.length !== 3) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(parts[1] ?? "", "base64url").toString("utf8"));
    if (typeof claims !== "object" || claims === null || Array.isArray(claims)) return undefined;
    if (!("exp" in claims)) return null;
    const end = typeof claims.exp === "number" ? new Date(claims.exp * 1000) : undefined;
    return end === undefined || Number.isNaN(end.getTime()) ? undefined : end;
  } catch {
    return undefined;
  }
}

/**
 * The secrets of the settings with a known expiry, soonest first. The operator's setting takes precedence over a
 * token's own claim.
 */
export function ofSettings(credentials: readonly Config.Credential[], now: Date): Expiry[] {
  return credentials
    .flatMap(({ name, value, endsAt }) => {
      const end = endsAt ?? (value === undefined ? undefined : endOf(value));
      return end === undefined ? [] : [expiry(name, end, now)];
    })
    .toSorted(soonest);
}

/**
 * API keys that end soon or have just ended, soonest first; each ends with its last secret. Reads these alone.
 * @throws AppError `storage_unavailable`.
 */
export async function ofKeys(db: Database.Db, now: Date): Promise<Expiry[]> {
  const from = now.getTime() - limits.endedDays * dayMs;
  const to = now.getTime() + limits.listDays * dayMs;
  const seen = new Map<string, Expiry>();
  for (const { keyId, endsAt, lifetimeMs } of await Ending.between(db, { from, to, most: limits.mostKeys })) {
    const shown = expiry(keyId, endsAt, now);
    const isMeantToEnd = lifetimeMs < limits.shortLivedDays * dayMs;
    seen.set(shown.name, shown.state === "soon" && isMeantToEnd ? { ...shown, state: "ok" } : shown);
  }
  return [...seen.values()];
}

/** Where the expiries are read from. */
interface Sources {
  credentials: () => readonly Config.Credential[];
  db: () => Database.Db;
}

/**
 * All of them. During an outage of the database the expiries of the settings are still returned, because an expired
 * token may be the cause.
 */
export async function read({ credentials, db }: Sources, now = new Date()): Promise<Expiries> {
  const found = {
    settings: known(() => ofSettings(credentials(), now)),
    keys: await ofKeys(db(), now).catch((thrown: unknown) => {
      if (thrown instanceof AppError) return null;
      throw thrown;
    }),
  };
  return { ok: ringing(found).length === 0, ...found };
}

/** Null where a setting is wrong: other answers must not fail for it. */
function known<T>(look: () => T): T | null {
  try {
    return look();
  } catch (thrown) {
    if (thrown instanceof Config.ConfigError) return null;
    throw thrown;
  }
}

/** What needs action: keys that expire soon, without those that have expired. */
function ringing({ settings, keys }: Pick<Expiries, "settings" | "keys">): Expiry[] {
  return [
    ...(settings ?? []).filter(({ state }) => state !== "ok"),
    ...(keys ?? []).filter(({ state }) => state === "soon"),
  ];
}

/** For the clock: writes how many end soon as a metric, which an alarm watches, and which they are to the log. */
export async function tell(sources: Sources, log: Log, now = new Date()): Promise<void> {
  const names = ringing(await read(sources, now)).map(({ name }) => name);
  if (names.length === 0) return;
  Metrics.expiringSecrets(names.length);
  log.info("secrets_expire", { count: names.length, names });
}

function expiry(name: string, end: Date | null, now: Date): Expiry {
  if (end === null) return { name, expires_at: null, days_left: null, state: "ok" };
  const leftMs = end.getTime() - now.getTime();
  return {
    name,
    expires_at: end.toISOString(),
    days_left: Math.floor(leftMs / dayMs),
    state: leftMs <= 0 ? "ended" : leftMs <= limits.warnDays * dayMs ? "soon" : "ok",
  };
}

/** Secrets without an expiry come last. */
const soonest = (a: Expiry, b: Expiry) => atOf(a) - atOf(b);
const atOf = ({ expires_at: at }: Expiry) => (at === null ? Number.MAX_VALUE : Date.parse(at));
