import type { MiddlewareObj } from "@middy/core";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import { AppError, from } from "#core/error";
import * as Key from "#core/key/key";
import * as Allowance from "#core/usage/allowance";
import type { Call, Event, Result } from "#functions/request/call";
import { times } from "#spec/limits";

type Hooks = MiddlewareObj<Event, Result, Error>;

/**
 * Finds the caller by `Authorization: Bearer` or `X-API-Key`, and checks the route's scope. Malformed, unknown, revoked
 * and expired keys get the same answer, so that it does not reveal which keys exist. The answer to a call without a key
 * says how to send one (credentials.ts).
 */
export function auth(): Hooks {
  const verify = lazyVerifier();
  const findCaller = async ({ event }: { event: Event }) => {
    const { call } = event;
    // Comes before the key check: a debug route that is off must look like an unknown path.
    if (call.route?.debugOnly && !Config.app().debugMode)
      throw (await import("#functions/request/unknown-path")).unknownPath();
    const access = call.route?.access ?? "public";
    if (!Config.authEnabled()) call.principal = Key.anonymous;
    else if (access !== "public") await requireKey(event, verify);
    else if (call.route?.tellsKeys && presented(call.headers) !== undefined) await tryKey(call, verify);
    if (access !== "public" && access !== "key" && !call.principal.scopes.includes(access)) {
      throw new AppError("forbidden", `this key may not do that: it lacks the scope ${access}`, {
        details: { required_scopes: [access] },
      });
    }
  };
  return { before: findCaller, onError: nameScheme };
}

type Verify = ReturnType<typeof Key.verifier>;

async function requireKey(event: Event, verify: Verify): Promise<void> {
  const { call } = event;
  const principal = await verify(presented(call.headers));
  if (principal === undefined) {
    // Most keys are valid: the module with the advice is loaded only for the others.
    const { refused } = await import("#functions/request/credentials");
    throw refused(event, presented(call.headers) !== undefined);
  }
  call.principal = principal;
  // Only keys with this limit need the round trip.
  if (principal.limits.requestsPerMinute !== null) await count(call);
}

/**
 * For a public route that shows more to callers with a key: during an outage of the database it answers as if there
 * were no key.
 */
async function tryKey(call: Call, verify: Verify): Promise<void> {
  try {
    call.principal = (await verify(presented(call.headers))) ?? call.principal;
  } catch (thrown) {
    const { code } = from(thrown);
    call.keyUnchecked = code === "storage_unavailable";
    call.log.warn("key_not_checked", { code });
  }
}

const nameScheme: NonNullable<Hooks["onError"]> = ({ error, response }) => {
  if (error instanceof AppError && error.code === "unauthorized" && response) {
    response.headers = { ...response.headers, "WWW-Authenticate": "Bearer" };
  }
};

/** During an outage of the database the call goes on uncounted; operations that need the database fail anyway. */
async function count(call: Call): Promise<void> {
  const { principal, log } = call;
  try {
    call.rateLimit = await Allowance.countRequest(Database.connect(), principal, new Date());
  } catch (thrown) {
    const { code, retryAfterS = 60 } = from(thrown);
    const quota = principal.limits.requestsPerMinute ?? 0;
    if (code === "rate_limited") call.rateLimit = { quota, left: 0, resetS: retryAfterS };
    if (code !== "storage_unavailable") throw thrown;
    log.warn("request_not_counted", { code });
  }
}

/** Reads its settings when the first key is checked. */
function lazyVerifier(): Verify {
  let verify: Verify | undefined;
  return (key) => {
    verify ??= verifier();
    return verify(key);
  };
}

function verifier(): Verify {
  const settings = Config.auth();
  if (!settings.enabled) throw new AppError("internal", "keys are not asked for");
  return Key.verifier(Database.connect, settings.pepper, times(Config.app().timeScale));
}

/** The key of a call; undefined without one. */
function presented(headers: Event["headers"]): string | undefined {
  const bearer = /^bearer +(\S+) *$/i.exec(headers.authorization ?? "")?.[1];
  return bearer ?? (headers["x-api-key"]?.trim() || undefined);
}
