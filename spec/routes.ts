import type { FunctionName } from "./functions.ts";

/**
 * The route table, read by the SST components, the functions' router, the local loop and OpenAPI.
 * A route that is not here does not exist; `$default` answers everything else.
 */

export const scopes = [
  "extract:run",
  "debug:run",
  "debug:read_raw",
  "runs:delete",
  "extracts:delete",
  "admin:pod",
  "admin:all_keys",
] as const;
export type Scope = (typeof scopes)[number];

/** `public` needs no key, `key` needs any key, a scope needs a key that has it. */
export type Access = "public" | "key" | Scope;

export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly function: FunctionName;
  readonly access: Access;
  /** Public, but a caller with a key gets more details. */
  readonly tellsKeys?: true;
  /** 404 unless DEBUG_MODE is on. */
  readonly debugOnly?: true;
}

export const routes = [
  { method: "GET", path: "/", function: "fallback", access: "public" },
  { method: "GET", path: "/health", function: "system", access: "public" },
  { method: "GET", path: "/readyz", function: "system", access: "public", tellsKeys: true },
  { method: "GET", path: "/openapi.json", function: "docs", access: "public" },
  { method: "GET", path: "/llms.txt", function: "docs", access: "public" },
  { method: "GET", path: "/docs", function: "docs", access: "public" },
  { method: "GET", path: "/docs/{page}", function: "docs", access: "public" },
  { method: "GET", path: "/docs/assets/{asset}", function: "docs", access: "public" },
  { method: "GET", path: "/v1/me", function: "catalog", access: "key" },
  { method: "GET", path: "/v1/tasks", function: "catalog", access: "extract:run" },
  { method: "GET", path: "/v1/tasks/{task_id}", function: "catalog", access: "extract:run" },
  { method: "POST", path: "/v1/extract", function: "extract", access: "extract:run" },
  { method: "POST", path: "/v1/uploads", function: "uploads", access: "extract:run" },
  { method: "GET", path: "/v1/extracts", function: "extracts", access: "extract:run" },
  { method: "GET", path: "/v1/extracts/{request_id}", function: "extracts", access: "extract:run" },
  {
    method: "DELETE",
    path: "/v1/extracts/{request_id}",
    function: "extracts",
    access: "extracts:delete",
  },
  { method: "DELETE", path: "/v1/uploads/{ref}", function: "uploads", access: "extracts:delete" },
  { method: "DELETE", path: "/v1/data", function: "uploads", access: "extracts:delete" },
  { method: "POST", path: "/v1/batch_extract", function: "batch", access: "extract:run" },
  { method: "POST", path: "/v1/batch_extract_upload", function: "batch", access: "extract:run" },
  { method: "POST", path: "/v1/batch_extract_rerun", function: "batch", access: "extract:run" },
  { method: "GET", path: "/v1/runs", function: "runs", access: "extract:run" },
  { method: "GET", path: "/v1/runs/{run_id}", function: "runs", access: "extract:run" },
  { method: "GET", path: "/v1/runs/{run_id}/items", function: "runs", access: "extract:run" },
  { method: "GET", path: "/v1/runs/{run_id}/results", function: "runs", access: "extract:run" },
  { method: "POST", path: "/v1/runs/{run_id}/cancel", function: "runs", access: "extract:run" },
  { method: "DELETE", path: "/v1/runs/{run_id}", function: "runs", access: "runs:delete" },
  { method: "POST", path: "/v1/ground_truths", function: "groundTruths", access: "debug:run" },
  { method: "POST", path: "/v1/ground_truths/from_run", function: "groundTruths", access: "debug:run" },
  { method: "GET", path: "/v1/ground_truths", function: "groundTruths", access: "debug:run" },
  { method: "GET", path: "/v1/ground_truths/{gt_id}", function: "groundTruths", access: "debug:run" },
  { method: "DELETE", path: "/v1/ground_truths/{gt_id}", function: "groundTruths", access: "debug:run" },
  { method: "POST", path: "/v1/evals", function: "evals", access: "debug:run" },
  { method: "GET", path: "/v1/evals", function: "evals", access: "debug:run" },
  { method: "GET", path: "/v1/evals/{eval_id}", function: "evals", access: "debug:run" },
  { method: "GET", path: "/v1/evals/{eval_id}/report", function: "evals", access: "debug:run" },
  { method: "GET", path: "/v1/evals/{eval_id}/diff/{other_id}", function: "evals", access: "debug:run" },
  { method: "DELETE", path: "/v1/evals/{eval_id}", function: "evals", access: "debug:run" },
  { method: "GET", path: "/v1/usage", function: "usage", access: "extract:run" },
  { method: "GET", path: "/v1/admin/pod", function: "adminPod", access: "admin:pod" },
  { method: "PUT", path: "/v1/admin/pod", function: "adminPod", access: "admin:pod" },
  { method: "POST", path: "/v1/admin/pod/start", function: "adminPod", access: "admin:pod" },
  { method: "POST", path: "/v1/admin/pod/stop", function: "adminPod", access: "admin:pod" },
  {
    method: "GET",
    path: "/v1/debug/artifacts",
    function: "debug",
    access: "debug:read_raw",
    debugOnly: true,
  },
  {
    method: "GET",
    path: "/v1/debug/artifacts/backup.tar.gz",
    function: "debug",
    access: "debug:read_raw",
    debugOnly: true,
  },
  {
    method: "GET",
    path: "/v1/debug/artifacts/{request_id}",
    function: "debug",
    access: "debug:read_raw",
    debugOnly: true,
  },
  {
    method: "GET",
    path: "/v1/debug/artifacts/{request_id}/raw",
    function: "debug",
    access: "debug:read_raw",
    debugOnly: true,
  },
] as const satisfies readonly Route[];

/**
 * The routes as deployed: every GET has a HEAD as well. HEAD needs its own route, because the function behind
 * `$default` has no links.
 */
export const deployed: readonly (Omit<Route, "method"> & { method: Route["method"] | "HEAD" })[] = (
  routes as readonly Route[]
).flatMap((route) => (route.method === "GET" ? [route, { ...route, method: "HEAD" as const }] : [route]));

/** The function behind `$default`: it answers 404, 405 and CORS preflights in our error format. */
export const defaultFunction: FunctionName = "fallback";

/** A route as API Gateway names it: "GET /health". */
export type RouteKey = { [R in (typeof routes)[number] as `${R["method"]} ${R["path"]}`]: R } extends infer M
  ? keyof M & string
  : never;

/** The route of an API Gateway route key, or undefined for `$default`. */
export function byKey(routeKey: string): Route | undefined {
  return routes.find((route) => `${route.method} ${route.path}` === routeKey);
}

/**
 * The methods of a concrete path, to choose between 404 and 405. A template's `{name}` matches one segment.
 * @param debugMode - whether debug routes exist.
 */
export function methodsAt(path: string, debugMode: boolean): string[] {
  const segments = path.split("/");
  return deployed
    .filter((route) => {
      if (route.debugOnly && !debugMode) return false;
      const template = route.path.split("/");
      return (
        template.length === segments.length &&
        template.every((part, i) => (part.startsWith("{") ? segments[i] !== "" : part === segments[i]))
      );
    })
    .map((route) => route.method);
}
