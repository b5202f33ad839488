import type { MiddlewareObj } from "@middy/core";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import { AppError, from } from "#core/error";
import * as Key from "#core/key/key";
import * as Allowance from "#core/usage/allowance";
import type { Call, Event, Result } from "#functions/request/call";
import { times } from "#spec/limits";

/**
 * Who is calling, by `Authorization: Bearer` or `X-API-Key`, and whether the route's scope is theirs. Malformed,
 * unknown, revoked and expired keys are answered alike, so that nobody learns which keys exist; how a key is to be sent is
 * told to calls without one (credentials.ts).
 */
export function auth(): MiddlewareObj<Event, Result, Error> {
  let verify: ReturnType<typeof Key.verifier> | undefined;
  return {
    before: async ({ event }) => {
      const { call } = event;
      const access = call.route?.access ?? "public";
      const app = Config.app();
      // Hidden before the key is looked at: a debug route that is off does not exist.
      if (call.route?.debugOnly && !app.debugMode)
        throw (await import("#functions/request/unknown-path")).unknownPath();
      if (!Config.authEnabled()) {
        call.principal = Key.anonymous;
      } else if (access !== "public") {
        verify ??= verifier();
        const principal = await verify(presented(call.headers));
        if (principal === undefined) {
          // A key that fits is the rule: the advice is loaded for who has none.
          const { refused } = await import("#functions/request/credentials");
          throw refused(event, presented(call.headers) !== undefined);
        }
        call.principal = principal;
        // Only of keys that have the limit: the others pay no round trip.
        if (principal.limits.requestsPerMinute !== null) await count(call);
      } else if (call.route?.tellsKeys && presented(call.headers) !== undefined) {
        try {
          verify ??= verifier();
          call.principal = (await verify(presented(call.headers))) ?? call.principal;
        } catch (thrown) {
          // Anybody may call: a look that fails takes nothing from the answer but what only keys are told.
          const { code } = from(thrown);
          call.keyUnchecked = code === "storage_unavailable";
          call.log.warn("key_not_checked", { code });
        }
      }
      if (access !== "public" && access !== "key" && !call.principal.scopes.includes(access)) {
        throw new AppError("forbidden", `this key may not do that: it lacks the scope ${access}`, {
          details: { required_scopes: [access] },
        });
      }
    },
    onError: ({ error, response }) => {
      if (error instanceof AppError && error.code === "unauthorized" && response) {
        response.headers = { ...response.headers, "WWW-Authenticate": "Bearer" };
      }
    },
  };
}

/** A limit that cannot be counted stops nobody: what needs the database fails by itself, the rest does not need it. */
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

function verifier(): ReturnType<typeof Key.verifier> {
  const settings = Config.auth();
  if (!settings.enabled) throw new AppError("internal", "keys are not asked for");
  return Key.verifier(Database.connect, settings.pepper, times(Config.app().timeScale));
}

/** The key of a call; undefined when there is none. */
function presented(headers: Event["headers"]): string | undefined {
  const bearer = /^bearer +(\S+) *$/i.exec(headers.authorization ?? "")?.[1];
  return bearer ?? (headers["x-api-key"]?.trim() || undefined);
}
