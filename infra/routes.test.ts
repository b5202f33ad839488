import { describe, expect, test } from "vitest";
import { root } from "../scripts/sst-platform.ts";
import { type FunctionSpec, functions } from "../spec/functions.ts";
import { type Route, routes } from "../spec/routes.ts";
import { urlOf } from "../test/infra/synthesis.ts";

/** The operations that a handler's file exports. */
async function operationsOf(name: Route["function"]): Promise<string[]> {
  const file = functions[name].handler.replace(/\.\w+$/, ".ts");
  const module = (await import(urlOf(`${root}${file}`))) as { operations?: Record<string, unknown> };
  return Object.keys(module.operations ?? {});
}

/** Routes that would be deployed and answered with 404, and operations without a route. */
async function unmatched(table: readonly Route[]): Promise<string[]> {
  const keys = table.map((route) => ({ key: `${route.method} ${route.path}`, name: route.function }));
  const names = [...new Set([...table, ...routes].map((route) => route.function))];
  const found = await Promise.all(
    names.map(async (name) => {
      const offered = await operationsOf(name);
      const routed = keys.filter((route) => route.name === name).map(({ key }) => key);
      return [
        ...routed.filter((key) => !offered.includes(key)).map((key) => `${name} has no ${key}`),
        ...offered.filter((key) => !routed.includes(key)).map((key) => `nobody routes ${key} to ${name}`),
      ];
    }),
  );
  return found.flat();
}

describe("the routes that are deployed", () => {
  test("each have an operation in their function, and each operation has its route", async () => {
    expect(await unmatched(routes)).toEqual([]);
  });

  test("every function's file is there and exports its handler", async () => {
    for (const { handler } of Object.values<FunctionSpec>(functions)) {
      const [file = "", name = ""] = handler.split(".");
      const module = (await import(urlOf(`${root}${file}.ts`))) as Record<string, unknown>;
      expect(module[name], handler).toBeTypeOf("function");
    }
  });

  test("a route without an operation fails here, and so does an operation without a route", async () => {
    const [first, ...others] = routes;
    const more: Route = { method: "GET", path: "/v1/none", function: "usage", access: "extract:run" };
    expect(await unmatched([...routes, more])).toEqual(["usage has no GET /v1/none"]);
    expect(await unmatched(others)).toEqual([
      `nobody routes ${first.method} ${first.path} to ${first.function}`,
    ]);
    expect(await unmatched(routes.map((route) => ({ ...route, function: "usage" as const })))).not.toEqual(
      [],
    );
  });
});
