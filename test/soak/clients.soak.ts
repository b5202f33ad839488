/**
 * Clients that other tools generate from docs/openapi.json, compiled under `strict` and run against the loop. The
 * generators are installed outside the repository, because they need a TypeScript before 7 and 80 packages for this
 * test alone.
 */
import { execFile } from "node:child_process";
import { cp, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packageRoot } from "#local/home/home";
import * as Programs from "#test/soak/clients/programs";
import { startLoop, type TestLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import { picture } from "#test/support/pictures";

const generators = [
  "openapi-typescript@7.13.0",
  "openapi-fetch@0.17.0",
  "@hey-api/openapi-ts@0.99.0",
  "typescript@5.9.3",
];
const run = promisify(execFile);
const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const document = join(packageRoot, "docs", "openapi.json");

const total = "12.00";
const read = {
  ...{ total, subtotal: "10.00", tax: "2.00", service: null },
  ...{ discount: null, cash: null, card: null, change: null },
};

const dir = await mkdtemp(join(tmpdir(), "ocrlty-clients-"));
const missing = await install();
if (missing !== undefined) console.warn(`skipped: the generators cannot be installed (${missing})`);

async function install(): Promise<string | undefined> {
  await writeFile(join(dir, "package.json"), JSON.stringify({ private: true, type: "module" }));
  const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", ...generators];
  try {
    await run("npm", args, { cwd: dir, shell: process.platform === "win32" });
    return undefined;
  } catch (error) {
    return String(error).slice(0, 500);
  }
}

const node = (file: string, args: string[], env: Record<string, string> = {}) =>
  run(process.execPath, [file, ...args], { cwd: dir, env: { ...process.env, ...env } });
const bin = (...path: string[]) => join(dir, "node_modules", ...path);

describe.skipIf(missing !== undefined)("a client that was generated from docs/openapi.json", () => {
  let loop: TestLoop;
  let model: ModelServer.ModelServer;

  beforeAll(async () => {
    // The packages of the product that the programs need.
    await symlink(join(packageRoot, "node_modules", "standardwebhooks"), bin("standardwebhooks"), "junction");
    await cp(join(packageRoot, "node_modules", "@types", "node"), bin("@types", "node"), { recursive: true });
    await symlink(join(packageRoot, "node_modules", "undici-types"), bin("undici-types"), "junction").catch(
      () => undefined,
    );
    await writeFile(join(dir, "receipt.png"), await picture(1));
    model = await ModelServer.start({ model: "scripted", respond: () => ModelServer.json(read) });
    loop = await startLoop({
      env: {
        VLLM_BASE_URL: model.url,
        VLLM_MODEL: "scripted",
        WEBHOOK_SECRET: secret,
        WEBHOOK_ALLOW_PRIVATE: "1",
      },
    });
  });
  afterAll(async () => {
    await loop?.close();
    await model?.close();
    await rm(dir, { recursive: true, force: true });
  });

  /** The compiler's messages under `strict`; empty on success. */
  async function compile(name: string, source: string): Promise<string> {
    await writeFile(join(dir, `${name}.ts`), source);
    const compilerOptions = {
      ...{ strict: true, noEmit: true, target: "es2024", lib: ["es2024", "dom", "dom.iterable"] },
      ...{ module: "preserve", types: ["node"], skipLibCheck: true },
    };
    const project = join(dir, `tsconfig.${name}.json`);
    await writeFile(project, JSON.stringify({ compilerOptions, files: [`${name}.ts`] }));
    return node(join(packageRoot, "node_modules", "typescript", "bin", "tsc"), ["--project", project]).then(
      () => "",
      (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
    );
  }

  /** Bundles the program and runs it. @returns its last line. */
  async function runs(name: string): Promise<unknown> {
    const outfile = join(dir, `${name}.mjs`);
    await build({
      ...{ entryPoints: [join(dir, `${name}.ts`)], outfile, bundle: true, logLevel: "silent" },
      ...{ platform: "node", format: "esm", target: "node24" },
      banner: {
        js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
      },
    });
    const { stdout } = await node(outfile, [], {
      OCRLTY_URL: loop.url,
      OCRLTY_API_KEY: loop.apiKey,
      PICTURE: join(dir, "receipt.png"),
      WEBHOOK_SECRET: (await webhookSecret()) ?? "",
    });
    return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
  }

  const webhookSecret = async () => {
    const { derive } = await import("#core/webhook/secret");
    return derive(secret, "local-admin", 1);
  };

  const expected = {
    total,
    code: "not_found",
    path: "run_id",
    results: [["one", total]],
    items: [total],
    csv: true,
    told: [expect.stringMatching(/^run\.succeeded \S+ 1$/)],
  };

  const wrong = `
    extract.totals;
    if (extract.schema_ok && extract.task_id === "receipt_fields_v1") extract.result.items;
  `;

  test("openapi-typescript with openapi-fetch: compiles, refuses fields that a task does not have, and runs the whole program", async () => {
    await node(bin("openapi-typescript", "bin", "cli.js"), [document, "-o", "api.d.ts"]);
    expect(await compile("fetch", Programs.openapiFetch)).toBe("");
    expect((await compile("fetch-wrong", Programs.openapiFetch + wrong)).match(/error TS\d+/g)).toHaveLength(
      2,
    );
    expect(await runs("fetch")).toEqual(expected);
  });

  test("@hey-api/openapi-ts: compiles, refuses fields that a task does not have, and runs the whole program", async () => {
    await node(bin("@hey-api", "openapi-ts", "bin", "run.js"), ["-i", document, "-o", "hey"]);
    expect(await compile("hey-api", Programs.heyApi)).toBe("");
    expect((await compile("hey-api-wrong", Programs.heyApi + wrong)).match(/error TS\d+/g)).toHaveLength(2);
    expect(await runs("hey-api")).toEqual(expected);
  });
});
