import middy, { type MiddlewareObj } from "@middy/core";
import cors from "@middy/http-cors";
import securityHeaders from "@middy/http-security-headers";
import type { APIGatewayProxyEventV2, Context } from "aws-lambda";
import type * as z from "zod";
import * as Config from "#core/config";
import { AppError, type Code, invalidRequest } from "#core/error";
import * as Utf8 from "#core/utf8";
import { auth } from "#functions/middleware/auth";
import { call } from "#functions/middleware/call";
import { errors } from "#functions/middleware/errors";
import type { Call, Event, Result } from "#functions/request/call";
import * as JsonBody from "#functions/request/json-body";
import type * as Routes from "#spec/routes";

/** An answer: `body` is sent as JSON unless `contentType` says otherwise, then it is text or bytes. */
export interface Reply {
  status: number;
  body?: unknown;
  contentType?: string;
  headers?: Record<string, string>;
}

/** A body as it came, decoded from the event's base64; empty where the operation takes another one. */
export interface RawBody {
  contentType: string | undefined;
  bytes: Uint8Array;
}

/** What a body of `any` type may be. A value, so that only functions that have it carry its words. */
export interface Doors {
  /** What else than JSON, by media type: for OpenAPI. */
  types: Readonly<Record<string, z.ZodType>>;
  /** What a body that is not there is answered with. */
  missing: string;
  isJson(contentType: string): boolean;
  /** What a body that was sent as JSON really is; undefined where it may well be broken JSON. */
  notJson(text: string): string | undefined;
}

/** What a route takes, gives and does; its schemas are the source of OpenAPI. */
export interface Operation<
  P extends z.ZodType = z.ZodType,
  Q extends z.ZodType = z.ZodType,
  B extends z.ZodType = z.ZodType,
> {
  summary: string;
  /** Markdown for OpenAPI, where the summary does not say it all. */
  description?: string;
  params?: P;
  query?: Q;
  /** A JSON body; absent: the route takes none and ignores what comes. */
  body?: B;
  /**
   * Who reads the body, when it is not the schema alone, which then only describes it. `unchecked`: JSON that the
   * operation checks itself. `multipart`: the bytes come as `raw`. `any`: JSON that the operation checks itself, and what
   * is of another type comes as `raw`.
   */
  bodyAs?: "unchecked" | "multipart" | "any";
  /** Of `any`, and with it. */
  doors?: Doors;
  /** Status → what is answered with it. OpenAPI's generator adds the errors: those that follow from the route and from what it takes, and `errors`. */
  responses: Record<
    number,
    {
      description: string;
      schema?: z.ZodType;
      contentType?: string;
      /** What else the body may be, by media type. */
      others?: Record<string, z.ZodType>;
    }
  >;
  /** Codes that only this operation has (scripts/openapi/openapi.ts derives the rest). */
  errors?: readonly Code[];
  run(input: {
    params: z.output<P>;
    query: z.output<Q>;
    body: z.output<B>;
    raw: RawBody;
    call: Call;
  }): Promise<Reply> | Reply;
}

/** Types an operation's input by its schemas. */
export function operation<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(
  definition: Operation<P, Q, B>,
): Operation {
  return definition as unknown as Operation;
}

export type Operations = Partial<Record<Routes.RouteKey, Operation>>;

/**
 * A Lambda handler for a group of routes. The order of middleware is written down here and nowhere else:
 * call (id, log) → CORS → security headers → auth → JSON body → the operation → errors. Hooks of an answer run
 * backwards, so the error becomes an answer first and the log line is written last.
 */
export function api(operations: Operations, fallback?: (event: Event) => Reply) {
  return lazily(() => stack(operations, auth(), fallback));
}

/**
 * The same for routes that are all public: no key is looked at, so the bundle holds nothing that could (a database
 * client is two thirds of a small function).
 */
export function publicApi(operations: Operations, fallback?: (event: Event) => Reply) {
  return lazily(() => stack(operations, publicOnly(), fallback));
}

function lazily(make: () => unknown) {
  let handler: ((event: never, context: Context) => Promise<Result>) | undefined;
  return async (event: APIGatewayProxyEventV2, context: Context): Promise<Result> => {
    handler ??= make() as typeof handler;
    return (handler as NonNullable<typeof handler>)(event as never, context);
  };
}

/** A route that asks for a key would be open here: a mistake in the route table must not be one in production. */
function publicOnly(): MiddlewareObj<Event, Result> {
  return {
    before: ({ event }) => {
      if ((event.call.route?.access ?? "public") !== "public")
        throw new AppError("internal", "this function cannot look at keys");
    },
  };
}

function stack(
  operations: Operations,
  authenticate: MiddlewareObj<Event, Result, Error>,
  fallback: ((event: Event) => Reply) | undefined,
) {
  return middy<Event, Result>({ timeoutEarlyInMillis: 50, timeoutEarlyResponse: () => outOfTime(operations) })
    .use(call())
    .use([...corsFor(Config.app().corsAllowOrigins), securityDefaults()])
    .use(authenticate)
    .use(jsonBody(operations))
    .use(errors())
    .handler(async (event) => {
      const chosen = operations[event.routeKey as Routes.RouteKey];
      if (chosen === undefined) {
        if (fallback === undefined) throw (await import("#functions/request/unknown-path")).unknownPath();
        return toResult(fallback(event));
      }
      const params = await check(chosen.params, event.pathParameters ?? {}, "path parameter");
      if (chosen.query !== undefined) {
        refuseUnreadable(event.rawQueryString);
        refuseRepeated(chosen.query, event.rawQueryString);
      }
      const query = await check(chosen.query, event.queryStringParameters ?? {}, "query parameter");
      const raw = rawOf(chosen, event);
      const body = chosen.bodyAs === undefined ? await check(chosen.body, event.body, "field") : event.body;
      return toResult(await chosen.run({ params, query, body, raw, call: event.call }));
    });
}

/** The last word of an invocation that is about to be killed: what it waited for may still come about. */
function outOfTime(operations: Operations): never {
  throw Object.hasOwn(operations, "POST /v1/extract")
    ? new AppError("inference_timeout", "there was no answer in time: send the same call again")
    : new AppError("storage_unavailable", "what this call needs did not answer in time", { retryAfterS: 2 });
}

/** Parses JSON where the operation takes a body, and only there: a stray body of a GET is nobody's business. */
function jsonBody(operations: Operations): MiddlewareObj<Event, Result> {
  return {
    before: (request) => {
      const { event } = request;
      const operation = operations[event.routeKey as Routes.RouteKey];
      if (operation?.body === undefined) return;
      refuseEncoded(event);
      if (operation.bodyAs === "multipart") return;
      const { doors } = operation;
      if (event.body === undefined || event.body === "")
        throw invalidRequest([{ path: "", message: doors?.missing ?? "the body is missing" }]);
      if (!takesJson(operation, event)) return;
      const other = typeof event.body === "string" ? doors?.notJson(event.body) : undefined;
      if (other !== undefined) throw new AppError("unsupported_media_type", other);
      JsonBody.parse(event);
    },
  };
}

/** The gateway hands a compressed body on as it is. */
function refuseEncoded({ headers }: Event): void {
  const encoding = headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  if (encoding !== "identity" && encoding !== "")
    throw new AppError("unsupported_media_type", "the body must be sent without Content-Encoding");
}

/** The gateway joins repeated parameters by a comma, which would make one text of two. */
function refuseRepeated(schema: z.ZodType, rawQueryString: string | undefined): void {
  const known = (schema as z.ZodType & { shape?: object }).shape ?? {};
  const names = [...new URLSearchParams(rawQueryString).keys()].filter((name) => Object.hasOwn(known, name));
  const twice = [...new Set(names.filter((name, i) => names.indexOf(name) !== i))];
  if (twice.length > 0)
    throw invalidRequest(twice.map((path) => ({ path, message: "is in the query more than once" })));
}

/** What a % stands in front of must be a byte, and all of them together UTF-8: the gateway leaves others as they are. */
function refuseUnreadable(rawQueryString: string | undefined): void {
  const wrong = (rawQueryString ?? "").split("&").filter((pair) => !isReadable(pair));
  if (wrong.length === 0) return;
  const issues = wrong.map((pair) => {
    const [name = ""] = pair.split("=");
    const message = "is not UTF-8 where its %XX are decoded (a % itself is %25)";
    return { path: /^[\w.-]{1,64}$/.test(name) ? name : "", message };
  });
  throw invalidRequest(issues, { details: { reason: Utf8.reason } });
}

function isReadable(encoded: string): boolean {
  try {
    decodeURIComponent(encoded);
    return true;
  } catch {
    return false;
  }
}

const takesJson = ({ bodyAs, doors }: Operation, { headers }: Event) =>
  bodyAs !== "multipart" && (doors === undefined || doors.isJson(headers["content-type"] ?? ""));

function rawOf(operation: Operation, event: Event): RawBody {
  const taken = !takesJson(operation, event) && typeof event.body === "string" ? event.body : "";
  return {
    contentType: event.headers["content-type"],
    bytes: Buffer.from(taken, event.isBase64Encoded ? "base64" : "utf8"),
  };
}

/** Told to every client; what else the middleware knows is for pages, and says nothing to a program. */
const everywhere = new Set(["X-Content-Type-Options", "Strict-Transport-Security"]);

/** The middleware overwrites what is there; a header that the operation set (the docs page's policy) must win. */
function securityDefaults(): MiddlewareObj<Event, Result> {
  const defaults = securityHeaders() as MiddlewareObj<Event, Result>;
  const add: typeof defaults.after = async (request) => {
    const own = { ...request.response?.headers };
    await defaults.after?.(request);
    if (!request.response) return;
    const isPage = String(own["Content-Type"] ?? "").startsWith("text/html");
    const added = Object.entries(request.response.headers ?? {}).filter(
      ([name]) => isPage || everywhere.has(name),
    );
    request.response.headers = { ...Object.fromEntries(added), ...own };
  };
  return { after: add, onError: add };
}

/** Origins are allowed one by one by the operator, none by default; the gateway's own CORS is off. */
function corsFor(origins: string[]): MiddlewareObj<Event, Result>[] {
  if (origins.length === 0) return [];
  const vary = ({ response }: { response: Result | null | undefined }) => {
    // Also without an Origin, where the middleware says nothing: a cache must not give that answer to one.
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
  // Hooks of an answer run backwards: behind the middleware's own.
  return [{ after: vary, onError: vary }, cors(options) as MiddlewareObj<Event, Result>];
}

async function check(schema: z.ZodType | undefined, value: unknown, what: string): Promise<never> {
  return schema === undefined ? (undefined as never) : ((await checked(schema, value, what)) as never);
}

/**
 * The value, as its schema makes it. @throws AppError `invalid_request` with all that is wrong.
 * @param what - how one of its names is called: a "field", a "query parameter".
 */
export async function checked<S extends z.ZodType>(
  schema: S,
  value: unknown,
  what = "field",
): Promise<z.output<S>> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  // Most calls are right: what knows the words is loaded for those that are not.
  const { check: judge } = await import("#core/issue");
  throw invalidRequest(judge(schema, value, what).issues ?? []);
}

function toResult(reply: Reply): Result {
  const headers = { "Cache-Control": "no-store", ...reply.headers };
  if (reply.body === undefined) return { statusCode: reply.status, headers };
  if (reply.contentType !== undefined) {
    const bytes = reply.body instanceof Uint8Array;
    return {
      statusCode: reply.status,
      headers: { ...headers, "Content-Type": reply.contentType },
      body: bytes ? Buffer.from(reply.body as Uint8Array).toString("base64") : String(reply.body),
      isBase64Encoded: bytes,
    };
  }
  return {
    statusCode: reply.status,
    headers: { ...headers, "Content-Type": "application/json; charset=utf-8" },
    body: JSON.stringify(reply.body),
  };
}
