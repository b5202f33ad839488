import type { MiddlewareObj } from "@middy/core";
import * as Config from "#core/config";
import * as Database from "#core/db/client";
import { AppError } from "#core/error";
import * as Key from "#core/key/key";
import * as Usage from "#core/usage/usage";
import type { Event, Result } from "#functions/call";
import { functions, type Link, times } from "#infra/limits";
import type { Route } from "#infra/routes";

/**
 * Who is calling, by `Authorization: Bearer` or `X-API-Key`, and whether the route's scope is theirs. Missing,
 * malformed, unknown, revoked and expired keys are answered alike, so that nobody learns which keys exist.
 */
export function auth(): MiddlewareObj<Event, Result, Error> {
  let verify: ReturnType<typeof Key.verifier> | undefined;
  return {
    before: async ({ event }) => {
      const { call } = event;
      const access = call.route?.access ?? "public";
      const app = Config.app();
      // Hidden before the key is looked at: a debug route that is off does not exist.
      if (call.route?.debugOnly && !app.debugMode) throw new AppError("not_found", "no such route");
      if (!Config.authEnabled()) {
        call.principal = Key.anonymous;
      } else if (access !== "public" || (presented(call.headers) !== undefined && canLookUp(call.route))) {
        verify ??= verifier();
        const principal = await verify(presented(call.headers));
        if (principal !== undefined) call.principal = principal;
        else if (access !== "public") throw new AppError("unauthorized", "a valid API key is needed");
        // Only of keys that have the limit, and not where anybody may call: the others pay no round trip.
        if (principal !== undefined && access !== "public" && principal.limits.requestsPerMinute !== null)
          await Usage.countRequest(Database.connect(), principal, new Date());
      }
      if (access !== "public" && access !== "key" && !call.principal.scopes.includes(access)) {
        throw new AppError("forbidden", "this key may not do that", {
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

/** A public route is answered by its function alone, and not every function may reach the database. */
function canLookUp(route: Route | undefined): boolean {
  return route !== undefined && (functions[route.function].links as readonly Link[]).includes("database");
}

function verifier(): ReturnType<typeof Key.verifier> {
  const settings = Config.auth();
  if (!settings.enabled) throw new AppError("internal", "keys are not asked for");
  return Key.verifier(Database.connect, settings.pepper, times(Config.app().timeScale));
}

function presented(headers: Event["headers"]): string | undefined {
  const bearer = /^bearer +(\S+) *$/i.exec(headers.authorization ?? "")?.[1];
  return bearer ?? headers["x-api-key"]?.trim();
}
