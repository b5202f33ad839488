import { execFile } from "node:child_process";
import { glob, readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import * as Functions from "#spec/functions";
import * as Routes from "#spec/routes";

const root = new URL("../", import.meta.url);

async function sources(pattern: string): Promise<string[]> {
  const found: string[] = [];
  for await (const file of glob(pattern, { cwd: root })) found.push(file.replaceAll("\\", "/"));
  return found.filter((file) => !file.endsWith(".test.ts")).toSorted();
}

const read = (file: string) => readFile(new URL(file, root), "utf8");
const imports = (text: string) =>
  [...text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map((match) => match[1] ?? "");

describe("the shape of the code", () => {
  test("core imports nothing of functions, infra, local, cli or scripts, and no event types of AWS", async () => {
    const wrong: string[] = [];
    for (const file of await sources("core/**/*.ts")) {
      for (const name of imports(await read(file))) {
        if (/^(#functions|#infra|#local|#cli|#scripts|#test|aws-lambda|@middy)/.test(name))
          wrong.push(`${file} imports ${name}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("no product code imports CLDR's data, which only proves the readers", async () => {
    const wrong: string[] = [];
    for (const folder of ["cli", "core", "functions", "infra", "local", "scripts", "spec"]) {
      for (const file of await sources(`${folder}/**/*.ts`)) {
        if (imports(await read(file)).some((name) => name.startsWith("cldr-"))) wrong.push(file);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("only core/config.ts reads the environment", async () => {
    const wrong: string[] = [];
    for (const file of [...(await sources("core/**/*.ts")), ...(await sources("functions/**/*.ts"))]) {
      // Behind an escaped brace it is a sample's text, for the reader of the OpenAPI document.
      if (file !== "core/config.ts" && /(?<!\\\$\{)process\.env|from "sst"/.test(await read(file)))
        wrong.push(file);
    }
    expect(wrong).toEqual([]);
  });

  test("every module imports with an empty environment, and nothing happens then", async () => {
    const modules = [...(await sources("core/**/*.ts")), ...(await sources("functions/**/*.ts"))];
    expect(modules.length).toBeGreaterThan(20);
    const script = `for (const file of ${JSON.stringify(modules)}) await import(new URL(file, ${JSON.stringify(root.href)}).href);`;
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", "--input-type=module", "--eval", script],
      { env: {}, cwd: root, timeout: 25_000 },
    );
    expect(stdout + stderr).toBe("");
  });

  test("every route has a function, every function its file, and every file its operations", async () => {
    for (const [name, spec] of Object.entries(Functions.functions)) {
      const file = spec.handler.replace(/\.\w+$/, ".ts");
      const module = (await import(new URL(file, root).href)) as {
        handler?: unknown;
        operations?: Record<string, unknown>;
      };
      expect(module.handler, file).toBeTypeOf("function");
      const routed = Routes.routes
        .filter((route) => route.function === name)
        .map((route) => `${route.method} ${route.path}`);
      expect(Object.keys(module.operations ?? {}).toSorted(), file).toEqual(routed.toSorted());
    }
  });

  test("a handler file stays an entry point: no SQL, no clients, no environment", async () => {
    for (const file of await sources("functions/api/*.ts")) {
      const text = await read(file);
      expect(text, file).not.toMatch(/drizzle-orm|@libsql|@aws-sdk|try \{/);
    }
  });
});
