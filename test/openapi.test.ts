import { execFile } from "node:child_process";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { generateApi } from "swagger-typescript-api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { prepare } from "#core/document/document";
import type { Operation } from "#functions/request/operation";
import { examples, picture } from "#scripts/openapi/examples";
import * as OpenApi from "#scripts/openapi/openapi";
import * as Parts from "#scripts/openapi/parts";
import * as Functions from "#spec/functions";
import * as Routes from "#spec/routes";
import { inspect } from "#test/support/inspect";

const root = fileURLToPath(new URL("../", import.meta.url));

interface MediaType {
  schema?: unknown;
  examples?: Record<string, { value: unknown }>;
}
interface Response {
  $ref?: string;
  content?: Record<string, MediaType>;
}
interface Described {
  operationId: string;
  security: Record<string, string[]>[];
  requestBody?: { content: Record<string, MediaType> };
  responses: Record<string, Response>;
}
interface Document {
  paths: Record<string, Record<string, Described>>;
  components: Record<string, Record<string, Response>>;
}

let text: string;
let document: Document;
let described: { key: string; operation: Described }[];

beforeAll(async () => {
  text = (await fs.readFile(join(root, "docs", "openapi.json"), "utf8")).replaceAll("\r\n", "\n");
  document = JSON.parse(text) as Document;
  described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      key: `${method.toUpperCase()} ${path}`,
      operation,
    })),
  );
});

/** Follows a reference; anything else is returned as it is. */
function follow(response: Response): Response {
  const [kind = "", name = ""] = response.$ref?.split("/").slice(2) ?? [];
  return response.$ref === undefined ? response : (document.components[kind]?.[name] ?? {});
}

async function lint(source: string): Promise<string[]> {
  const config = await createConfig({ extends: ["recommended-strict"] });
  const problems = await lintFromString({ source, absoluteRef: "openapi.json", config });
  return problems.map(({ severity, ruleId, message }) => `${severity} ${ruleId}: ${message}`);
}

describe("docs/openapi.json", () => {
  test("is what the code describes: npm run openapi writes it", async () => {
    const script = join(root, "scripts", "openapi", "main.ts");
    const flags = ["--disable-warning=ExperimentalWarning", script, "--json"];
    const { stdout } = await promisify(execFile)(process.execPath, flags, { maxBuffer: 16 * 1024 * 1024 });
    expect(text === stdout, "run npm run openapi and commit the file").toBe(true);
  });

  test("has the routes of the route table, no more and no fewer, each with its access", () => {
    const access = ({ security }: Described) => {
      const [first] = security;
      if (first === undefined) return "public";
      return first.bearer?.[0] ?? "key";
    };
    expect(described.map(({ key, operation }) => `${key} ${access(operation)}`).toSorted()).toEqual(
      Routes.routes.map((route) => `${route.method} ${route.path} ${route.access}`).toSorted(),
    );
    for (const { key, operation } of described) {
      const schemes = operation.security.map((scheme) => Object.keys(scheme).join());
      expect(["", "bearer,apiKey"], key).toContain(schemes.join());
    }
  });

  test("has nothing that an independent linter would complain about, warnings included", async () => {
    expect(await lint(text)).toEqual([]);
  });

  test("the linter finds a reference that leads nowhere", async () => {
    const broken = text.replace("#/components/schemas/ExtractRequest", "#/components/schemas/Nothing");
    expect(broken).not.toBe(text);
    expect((await lint(broken)).join("\n")).toContain("no-unresolved-refs");
  });

  test("every operation shows an error and describes each success with a schema", () => {
    for (const { key, operation } of described) {
      const responses = Object.entries(operation.responses);
      const errors = responses
        .filter(([status]) => status >= "4" && status < "6")
        .map(([, response]) => follow(response));
      expect(
        errors.some(({ content }) => Object.keys(content?.["application/json"]?.examples ?? {}).length > 0),
        key,
      ).toBe(true);
      const successes = responses.filter(([status]) => status.startsWith("2") && status !== "204");
      expect(successes.length, key).toBeGreaterThan(0);
      for (const [status, { content }] of successes) {
        const [media] = Object.values(content ?? {});
        expect(media?.schema, `${key} ${status}`).toBeDefined();
      }
    }
  });

  test("every error example is an error answer of its own status", () => {
    const shapes = z.union([Parts.ErrorEnvelope.strict(), Parts.GatewayError.strict()]);
    const seen = Object.values(document.components.responses ?? {}).flatMap(({ content }) =>
      Object.values(content?.["application/json"]?.examples ?? {}).map(({ value }) => value),
    );
    expect(seen.length).toBeGreaterThan(10);
    for (const value of seen) expect(shapes.safeParse(value).error, JSON.stringify(value)).toBeUndefined();
  });

  test("every example of a success passes the schema of its operation, unknown fields refused", async () => {
    for (const [key, { request, responses }] of Object.entries(examples())) {
      const operation = await operationOf(key);
      if (request !== undefined) expect(operation.body?.safeParse(request).error, key).toBeUndefined();
      for (const [status, value] of Object.entries(responses ?? {})) {
        const schema = operation.responses[Number(status)]?.schema;
        const strict = schema instanceof z.ZodObject ? schema.strict() : schema;
        expect(strict?.safeParse(value), `${key} ${status}`).toMatchObject({ success: true });
      }
    }
  });

  test("the example of POST /v1/extract holds a picture that can be read", async () => {
    const image = await inspect(Buffer.from(picture, "base64"));
    expect(image).toMatchObject({ mimeType: "image/png", width: 230, height: 92 });
    expect(await prepare(image, { maxImageTokens: 1000 })).toMatchObject({ mimeType: "image/png" });
  });

  test("operation ids are unique, and made of method and path", () => {
    const ids = described.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    const named = (method: Routes.Route["method"], path: string) => OpenApi.operationId({ method, path });
    expect(named("GET", "/health")).toBe("getHealth");
    expect(named("GET", "/v1/tasks")).toBe("listTasks");
    expect(named("GET", "/v1/tasks/{task_id}")).toBe("getTask");
    expect(named("POST", "/v1/extract")).toBe("extract");
    expect(named("POST", "/v1/uploads")).toBe("createUpload");
    expect(named("POST", "/v1/runs/{run_id}/cancel")).toBe("cancelRun");
    expect(named("GET", "/v1/runs/{run_id}/items")).toBe("listRunItems");
    expect(named("DELETE", "/v1/runs/{run_id}")).toBe("deleteRun");
  });
});

async function operationOf(key: string): Promise<Operation> {
  const route = Routes.byKey(key);
  if (route === undefined) throw new Error(`${key} is not a route`);
  const file = Functions.functions[route.function].handler.replace(/\.\w+$/, ".ts");
  const { operations } = (await import(join(root, file))) as { operations: Record<string, Operation> };
  const operation = operations[key];
  if (operation === undefined) throw new Error(`${key} has no operation`);
  return operation;
}

describe("a typed client generated from docs/openapi.json", () => {
  let dir: string;

  beforeAll(async () => {
    dir = await fs.mkdtemp(join(tmpdir(), "ocrlty-client-"));
    const { files } = await generateApi({
      spec: JSON.parse(text),
      output: false,
      silent: true,
      fileName: "client.ts",
      httpClientType: "fetch",
    });
    await fs.writeFile(join(dir, "client.ts"), files.map(({ fileContent }) => fileContent).join("\n"));
  });
  afterAll(() => fs.rm(dir, { recursive: true, force: true }));

  /** Compiles a program that uses the client. @returns the compiler's messages; empty on success. */
  async function compile(name: string, source: string): Promise<string> {
    await fs.writeFile(join(dir, `${name}.ts`), source);
    const options = {
      strict: true,
      noEmit: true,
      target: "es2024",
      lib: ["es2024", "dom"],
      module: "preserve",
      types: [],
    };
    const project = join(dir, `tsconfig.${name}.json`);
    await fs.writeFile(project, JSON.stringify({ compilerOptions: options, files: [`${name}.ts`] }));
    return new Promise((resolve) => {
      const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
      execFile(process.execPath, [tsc, "--project", project], (error, stdout, stderr) =>
        resolve(error === null ? "" : stdout + stderr),
      );
    });
  }

  const program = `
    import { Api, type Check, type ErrorEnvelope } from "./client";
    const api = new Api({
      baseUrl: "http://127.0.0.1:8000",
      securityWorker: (key: string | null) => ({ headers: { Authorization: \`Bearer \${key}\` } }),
    });
    api.setSecurityData("key");
    const { data, error } = await api.v1.extract({ image_base64: "", task_id: "receipt_fields_v1" });
    const checks: Check[] = data.checks;
    const ok: boolean | null = data.schema_ok;
    if ("error" in error) { const known: ErrorEnvelope["error"]["code"] = error.error.code; console.log(known); }
    const tasks = (await api.v1.listTasks()).data.items.map((task) => task.task_id.toUpperCase());
    const stored = await api.v1.getExtract("receipt-0001", { key_id: "web-shop" });
    console.log(checks, ok, tasks, stored.data.artifact_rel);
    export {};
  `;

  test("compiles with a program that uses it, and refuses fields that do not exist", async () => {
    const wrong = `${program}
      await api.v1.extract({ image: "" });
      console.log(data.totals);
    `;
    const [good, bad] = await Promise.all([compile("good", program), compile("bad", wrong)]);
    expect(good).toBe("");
    expect(bad).toContain("'image' does not exist in type 'ExtractRequest'");
    expect(bad).toContain("'totals' does not exist on type");
    expect(bad.match(/error TS/g)).toHaveLength(2);
  });
});
