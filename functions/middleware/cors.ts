import type { MiddlewareObj } from "@middy/core";
import middyCors from "@middy/http-cors";
import type { Event, Result } from "#functions/request/call";

/**
 * CORS for the origins that the operator lists; without any, there is no middleware. The gateway's own CORS is off.
 * `Vary: Origin` is also sent to calls without an `Origin`, where middy leaves it out: a cache must not reuse that
 * answer for a page.
 */
export function cors(origins: string[]): MiddlewareObj<Event, Result>[] {
  if (origins.length === 0) return [];
  const addVary = ({ response }: { response: Result | null | undefined }) => {
    if (response) {
      const own = String(response.headers?.Vary ?? "");
      const names = new Set([...own.split(/,\s*/).filter(Boolean), "Origin"]);
      response.headers = { ...response.headers, Vary: [...names].join(", ") };
    }
  };
  const options = {
    origins,
    methods: "GET,HEAD,POST,PUT,DELETE,OPTIONS",
    headers: "Authorization,Content-Type,Idempotency-Key,Prefer,X-API-Key,X-Request-ID",
    exposeHeaders:
      "Idempotent-Replayed,Location,Preference-Applied,RateLimit,RateLimit-Policy,Retry-After,WWW-Authenticate,X-Left-Out,X-Notes,X-Request-ID",
    maxAge: 600,
  };
  // The hooks for answers run in reverse order, so `addVary` runs after middy's hook.
  return [{ after: addVary, onError: addVary }, middyCors(options) as MiddlewareObj<Event, Result>];
}
