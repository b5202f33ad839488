import { AppError } from "#core/error";
import * as Near from "#core/near";
import * as Routes from "#spec/routes";

/** The error for a path that does not exist. A route that is switched off gets the same text. */
export function unknownPath(hint = ": the paths that there are are in /docs and /openapi.json"): AppError {
  return new AppError("not_found", `no such path${hint}`);
}

/** The same, with the route that was probably meant. @param debugMode - whether debug routes may be suggested. */
export function notFound(path: string, debugMode: boolean): AppError {
  const given = path.split("/");
  const told = new Map<string, string[]>();
  for (const route of Routes.routes as readonly Routes.Route[]) {
    if (route.debugOnly && !debugMode) continue;
    // A parameter matches any segment.
    const segments = route.path.split("/");
    const own = segments.length === given.length ? given : segments;
    const key = segments.map((part, i) => (part.startsWith("{") ? own[i] : part)).join("/");
    told.set(key, [...(told.get(key) ?? []), `${route.method} ${route.path}`]);
  }
  const meant = Near.near(path, [...told.keys()]).flatMap((key) => told.get(key) ?? []);
  return meant.length === 0 ? unknownPath() : unknownPath(`: did you mean ${Near.anyOf(meant.slice(0, 4))}?`);
}
