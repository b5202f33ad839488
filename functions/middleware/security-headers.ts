import type { MiddlewareObj } from "@middy/core";
import middySecurityHeaders from "@middy/http-security-headers";
import type { Event, Result } from "#functions/request/call";

/** The headers of every answer; the middleware's other headers are for pages. */
const everywhere = new Set(["X-Content-Type-Options", "Strict-Transport-Security"]);

/**
 * Adds security headers. A header that the operation set (the policy of a docs page) stays; middy alone would replace
 * it.
 */
export function securityHeaders(): MiddlewareObj<Event, Result> {
  const defaults = middySecurityHeaders() as MiddlewareObj<Event, Result>;
  const addHeaders: typeof defaults.after = async (request) => {
    const own = { ...request.response?.headers };
    await defaults.after?.(request);
    if (!request.response) return;
    const isPage = String(own["Content-Type"] ?? "").startsWith("text/html");
    const added = Object.entries(request.response.headers ?? {}).filter(
      ([name]) => isPage || everywhere.has(name),
    );
    request.response.headers = { ...Object.fromEntries(added), ...own };
  };
  return { after: addHeaders, onError: addHeaders };
}
