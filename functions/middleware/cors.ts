import type { MiddlewareObj } from "@middy/core";
import middyCors from "@middy/http-cors";
import type { Event, Result } from "#functions/request/call";

/**
 * CORS for the origins that the operator allows one by one; without any, no middleware. The gateway's own CORS is off.
 * `Vary: Origin` is also sent without an `Origin`, where middy sends none: a cache must not give that answer to a page.
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
  // Hooks of an answer run backwards, so `addVary` runs after middy's.
  return [{ after: addVary, onError: addVary }, middyCors(options) as MiddlewareObj<Event, Result>];
}
