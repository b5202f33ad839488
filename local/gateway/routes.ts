/**
 * Which function answers a request, by the rules of an HTTP API: a literal segment before a parameter, a
 * trailing slash is another path, nothing is normalized, and calls without a route go to `$default`.
 */
import { decode, type Matched } from "#local/gateway/event";

interface RouteEntry {
  readonly method: string;
  /** "/v1/extracts/{request_id}" */
  readonly path: string;
  readonly function: string;
}

export interface RouteTable {
  readonly routes: readonly RouteEntry[];
  /** The function behind `$default`. */
  readonly defaultFunction: string;
}

interface Compiled {
  readonly route: RouteEntry;
  readonly segments: readonly string[];
}

/** A matcher for one route table. */
export function compile({
  routes,
  defaultFunction,
}: RouteTable): (method: string, encodedPath: string) => Matched & { functionName: string } {
  const compiled: Compiled[] = routes
    .map((route) => ({ route, segments: route.path.split("/") }))
    // The more specific route first: compare the segments from the left, literal before parameter.
    .sort((a, b) => rank(a.segments).localeCompare(rank(b.segments)));
  return (method, encodedPath) => {
    const given = encodedPath.split("/");
    for (const { route, segments } of compiled) {
      if (route.method !== method && route.method !== "ANY") continue;
      const pathParameters = match(segments, given);
      if (pathParameters === undefined) continue;
      return {
        functionName: route.function,
        routeKey: `${route.method} ${route.path}`,
        pathParameters: Object.keys(pathParameters).length === 0 ? undefined : pathParameters,
      };
    }
    return { functionName: defaultFunction, routeKey: "$default", pathParameters: undefined };
  };
}

function rank(segments: readonly string[]): string {
  return segments.map((segment) => (isParameter(segment) ? "1" : "0")).join("");
}

function isParameter(segment: string): boolean {
  return segment.startsWith("{") && segment.endsWith("}");
}

function match(segments: readonly string[], given: readonly string[]): Record<string, string> | undefined {
  if (segments.length !== given.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, segment] of segments.entries()) {
    const value = decode(given[index] ?? "");
    if (value === undefined) return undefined;
    if (isParameter(segment)) {
      if (value === "") return undefined;
      parameters[segment.slice(1, -1)] = value;
    } else if (segment !== value) {
      return undefined;
    }
  }
  return parameters;
}
