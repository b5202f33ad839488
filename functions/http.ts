import middy, { type MiddlewareObj } from "@middy/core";
import type { APIGatewayProxyEventV2, Context } from "aws-lambda";
import type * as z from "zod";
import * as Config from "#core/config";
import { AppError } from "#core/error";
import { auth } from "#functions/middleware/auth";
import { body } from "#functions/middleware/body";
import { call } from "#functions/middleware/call";
import { cors } from "#functions/middleware/cors";
import { errors } from "#functions/middleware/errors";
import { publicOnly } from "#functions/middleware/public-only";
import { securityHeaders } from "#functions/middleware/security-headers";
import type { Event, Result } from "#functions/request/call";
import { checked } from "#functions/request/checked";
import type { Extras, Operation, Operations, Reply } from "#functions/request/operation";
import { refuseRepeated, refuseUnreadable } from "#functions/request/query";
import { rawOf } from "#functions/request/raw-body";
import type * as Routes from "#spec/routes";

/**
 * A Lambda handler for a group of routes. `stack` below is the only place that defines the order of middleware:
 * call (id, log) → CORS → security headers → auth → JSON body → the operation → errors. The hooks for answers run in
 * reverse order, so an error becomes an answer first, and the log line is written last.
 */
export function api(operations: Operations, extras: Extras = {}) {
  return lazily(() => stack(operations, auth(), extras));
}

/**
 * The same for functions whose routes are all public. They check no keys, so their bundles have no database client,
 * which is two thirds of a small function.
 */
export function publicApi(operations: Operations, extras: Extras = {}) {
  return lazily(() => stack(operations, publicOnly(), extras));
}

/** Nothing happens at import: the first call reads the settings. */
function lazily(make: () => ReturnType<typeof stack>) {
  let handler: ReturnType<typeof stack> | undefined;
  return async (event: APIGatewayProxyEventV2, context: Context): Promise<Result> => {
    handler ??= make();
    // The first middleware adds `event.call`.
    return handler(event as Event, context);
  };
}

function stack(
  operations: Operations,
  authenticate: MiddlewareObj<Event, Result, Error>,
  { fallback, outOfTime = noAnswerInTime }: Extras,
) {
  const operationOf = (event: Event) => operations[event.routeKey as Routes.RouteKey];
  const timeoutEarlyResponse = () => {
    throw outOfTime();
  };
  return middy<Event, Result>({ timeoutEarlyInMillis: 50, timeoutEarlyResponse })
    .use(call())
    .use([...cors(Config.app().corsAllowOrigins), securityHeaders()])
    .use(authenticate)
    .use(body(operationOf))
    .use(errors())
    .handler(async (event) => {
      const operation = operationOf(event);
      if (operation !== undefined) return toResult(await run(operation, event));
      if (fallback !== undefined) return toResult(fallback(event));
      throw (await import("#functions/request/unknown-path")).unknownPath();
    });
}

/** The work may still succeed: the invocation is killed while it waits. */
const noAnswerInTime = () =>
  new AppError("storage_unavailable", "what this call needs did not answer in time", { retryAfterS: 2 });

async function run(operation: Operation, event: Event): Promise<Reply> {
  const params = await check(operation.params, event.pathParameters ?? {}, "path parameter");
  if (operation.query !== undefined) {
    refuseUnreadable(event.rawQueryString);
    refuseRepeated(operation.query, event.rawQueryString);
  }
  const query = await check(operation.query, event.queryStringParameters ?? {}, "query parameter");
  const raw = rawOf(operation, event);
  const input =
    operation.bodyAs === undefined ? await check(operation.body, event.body, "field") : event.body;
  return operation.run({ params, query, body: input, raw, call: event.call });
}

const check = async (schema: z.ZodType | undefined, value: unknown, what: string): Promise<unknown> =>
  schema === undefined ? undefined : checked(schema, value, what);

function toResult(reply: Reply): Result {
  const headers = { "Cache-Control": "no-store", ...reply.headers };
  if (reply.body === undefined) return { statusCode: reply.status, headers };
  if (reply.contentType !== undefined) {
    const bytes = reply.body instanceof Uint8Array ? reply.body : undefined;
    return {
      statusCode: reply.status,
      headers: { ...headers, "Content-Type": reply.contentType },
      body: bytes === undefined ? String(reply.body) : Buffer.from(bytes).toString("base64"),
      isBase64Encoded: bytes !== undefined,
    };
  }
  return {
    statusCode: reply.status,
    headers: { ...headers, "Content-Type": "application/json; charset=utf-8" },
    body: JSON.stringify(reply.body),
  };
}
