/**
 * A request as API Gateway's HTTP API hands it to a function: payload format 2.0. Two traps are imitated: `rawPath` is
 * percent-decoded in spite of its name and cut at a decoded "?", and cookies are not among the headers.
 */
import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { APIGatewayProxyEventV2 } from "aws-lambda";

interface Target {
  /** As received, from the first slash to the question mark. */
  readonly encodedPath: string;
  /** As the event carries it. */
  readonly path: string;
  readonly rawQueryString: string;
}

/** The parts of the request target; undefined if an HTTP API does not accept it. */
export function target(url: string): Target | undefined {
  // Absolute form (RFC 9112, 3.2.2): the origin is ignored.
  const origin = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i.exec(url)?.[0] ?? "";
  const rest = url.slice(origin.length);
  const [encoded = "", ...query] = (rest.startsWith("/") || origin === "" ? rest : `/${rest}`).split("?");
  if (!encoded.startsWith("/")) return undefined;
  const path = decode(encoded);
  if (path === undefined) return undefined;
  return { encodedPath: encoded, path: path.split("?")[0] ?? "", rawQueryString: query.join("?") };
}

export interface Matched {
  readonly routeKey: string;
  /** Decoded; undefined when the route has none. */
  readonly pathParameters: Readonly<Record<string, string>> | undefined;
}

/** The event for a request whose body has been read. */
export function create(
  request: IncomingMessage,
  { path, rawQueryString }: Target,
  { routeKey, pathParameters }: Matched,
  body: Buffer,
): APIGatewayProxyEventV2 & { requestContext: { requestId: string } } {
  const headers = headersOf(request);
  const { cookie, ...plain } = headers;
  const sourceIp = (request.socket.remoteAddress ?? "127.0.0.1").replace(/^::ffff:/, "");
  const domainName = (headers.host ?? "localhost").replace(/:\d+$/, "");
  const now = new Date();
  const method = request.method ?? "GET";
  const query = queryParameters(rawQueryString);
  const text = isText(headers);
  return {
    version: "2.0",
    routeKey,
    rawPath: path,
    rawQueryString,
    ...(cookie === undefined ? {} : { cookies: cookie.split(/;\s*/).filter((one) => one !== "") }),
    headers: {
      ...plain,
      "x-forwarded-for": [plain["x-forwarded-for"], sourceIp].filter(Boolean).join(", "),
      "x-forwarded-port": String(request.socket.localPort ?? ""),
      "x-forwarded-proto": "http",
    },
    ...(query === undefined ? {} : { queryStringParameters: query }),
    ...(pathParameters === undefined ? {} : { pathParameters: { ...pathParameters } }),
    requestContext: {
      accountId: "000000000000",
      apiId: "local",
      domainName,
      domainPrefix: domainName.split(".")[0] ?? domainName,
      http: {
        method,
        path,
        protocol: `HTTP/${request.httpVersion}`,
        sourceIp,
        userAgent: headers["user-agent"] ?? "",
      },
      requestId: requestId(),
      routeKey,
      stage: "$default",
      time: clfTime(now),
      timeEpoch: now.getTime(),
    },
    ...(body.length === 0 ? {} : { body: body.toString(text ? "utf8" : "base64") }),
    isBase64Encoded: body.length > 0 && !text,
  };
}

/** API Gateway's own request ids: fifteen characters and a "=", no uuid. */
export function requestId(): string {
  return `${randomBytes(12).toString("base64url").slice(0, 15)}=`;
}

/** Percent-decoding of a whole text; undefined when it is malformed. */
export function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Lower-cased; repeated headers joined by a comma, cookies by a semicolon. */
function headersOf(request: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  for (const [name, values] of Object.entries(request.headersDistinct)) {
    headers[name] = (values ?? []).join(name === "cookie" ? "; " : ",");
  }
  // Hop-by-hop headers end at the gateway, and a chunked body has been put together.
  for (const name of [
    "connection",
    "keep-alive",
    "transfer-encoding",
    "expect",
    "upgrade",
    "te",
    "trailer",
  ]) {
    delete headers[name];
  }
  return { ...headers };
}

/**
 * Bodies of these types arrive as text, all others as base64: those without a type, forms, `+json` and compressed ones
 * too. AWS does not list them; they were measured on a real HTTP API with payload format 2.0
 * (https://github.com/ministackorg/ministack/pull/766).
 */
function isText(headers: Readonly<Record<string, string>>): boolean {
  const encoding = headers["content-encoding"] ?? "identity";
  const type = headers["content-type"]?.split(";")[0]?.trim().toLowerCase() ?? "";
  return encoding === "identity" && /^(?:text\/.*|application\/(?:json|xml|javascript))$/.test(type);
}

/** Decoded, repeated names joined by a comma; undefined when there are none. */
function queryParameters(raw: string): Record<string, string> | undefined {
  const result = new Map<string, string>();
  for (const pair of raw.split("&")) {
    if (pair === "") continue;
    const [name = "", ...value] = pair.split("=").map((part) => part.replaceAll("+", " "));
    const key = decode(name) ?? name;
    const text = decode(value.join("=")) ?? value.join("=");
    const before = result.get(key);
    result.set(key, before === undefined ? text : `${before},${text}`);
  }
  return result.size === 0 ? undefined : Object.fromEntries(result);
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** "23/Nov/2026:13:42:00 +0000", the common log format. */
function clfTime(date: Date): string {
  const [day, time = ""] = date.toISOString().split("T");
  const [year, month, dayOfMonth] = (day ?? "").split("-");
  return `${dayOfMonth}/${months[Number(month) - 1]}/${year}:${time.slice(0, 8)} +0000`;
}
