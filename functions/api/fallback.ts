import { AppError } from "#core/error";
import { publicApi } from "#functions/http";
import * as Routes from "#infra/routes";

/** Behind `$default`: CORS preflight, wrong methods, unknown paths. */
export const handler = publicApi({}, (event) => {
  const methods = Routes.methodsAt(event.rawPath);
  const allow = [...methods, "OPTIONS"].join(", ");
  if (event.requestContext.http.method === "OPTIONS") return { status: 204, headers: { Allow: allow } };
  if (methods.length === 0) throw new AppError("not_found", "no such route");
  throw new AppError("method_not_allowed", "this path has other methods", { details: { allowed: methods } });
});
