import { execFile, spawn } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Decoder } from "#core/document/decoder";
import * as Document from "#core/document/document";
import { pdfium } from "#spec/pdfium";
import { inspect } from "#test/support/inspect";
import { pages } from "#test/support/pdf";
import { png } from "#test/support/picture-parts";
import { type Bundle, bundle } from "../local/bundle/bundle.ts";
import { root } from "../scripts/sst-platform.ts";
import { type FunctionSpec, functions } from "../spec/functions.ts";
import { defaultFunction, routes } from "../spec/routes.ts";
import { handlers } from "../test/infra/stages.ts";

const specs = Object.entries<FunctionSpec>(functions);
const heic = readFileSync(join(root, "core/document/heif/fixtures/grid.heic"));

/** The answer of a bundle's program to one request, in a process that may neither write a file nor start a program. */
async function confined(program: string, job: object, bytes: Uint8Array): Promise<unknown> {
  const serve = "import(process.argv[1]).then((program) => program.serve())";
  const child = spawn(
    process.execPath,
    // A thread of it watches its parent (core/document/orphan.ts).
    [
      ...["--permission", "--allow-fs-read=*", "--allow-addons", "--allow-worker"],
      ...["--input-type=module", "--eval", serve, program],
    ],
    { cwd: tmpdir(), env: {}, stdio: ["pipe", "ignore", "inherit", "ipc"], serialization: "advanced" },
  );
  const answer = new Promise((resolve) => {
    child.on("message", (said: object) => "id" in said && resolve(said));
    child.on("exit", resolve);
  });
  child.send({ id: 1, job, bytes: bytes.byteLength });
  child.stdin?.write(bytes);
  const said = await answer;
  child.kill("SIGKILL");
  return said;
}

describe("the bundles that are deployed", () => {
  let bundled: Bundle;
  beforeAll(async () => {
    bundled = await bundle({ handlers, minify: true });
  }, 120_000);
  afterAll(() => bundled?.release());

  test("each loads without any variable, and only exports its handler", async () => {
    // One process after the other would take longer than all other tests together.
    const program = `
      const { names, exports } = JSON.parse(process.argv[1]);
      for (const [i, url] of names.entries())
        if (typeof (await import(url))[exports[i]] !== "function") throw new Error("no handler in " + url);
      // Code that looks at stdout opens it.
      console.log(JSON.stringify(process.getActiveResourcesInfo().filter((name) => name !== "PipeWrap")));`;
    const all = specs.map(([name]) => bundled.functions[name]);
    const asked = JSON.stringify({
      names: all.map((one) => pathToFileURL(one?.file ?? "").href),
      exports: all.map((one) => one?.exportName),
    });
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ["--input-type=module", "--eval", program, asked],
      // Windows starts no process without its system folder.
      { cwd: tmpdir(), env: process.platform === "win32" ? { SystemRoot: process.env.SystemRoot } : {} },
    );
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual([]);
  }, 60_000);

  test("none has the native libSQL, and packages with native parts are installed beside those that import them", async () => {
    for (const [name, spec] of specs) {
      const parts = bundled.functions[name]?.files.filter((file) => file.endsWith(".mjs")) ?? [];
      const source = (await Promise.all(parts.map((file) => fs.readFile(file, "utf8")))).join("\n");
      expect(
        /@libsql\/(linux|darwin|win32)|better-sqlite3|from\s*"libsql"|require\("libsql"\)/.test(source),
        name,
      ).toBe(false);
      const imported = ["sharp", "libheif-js"].filter((name) =>
        new RegExp(`(?:from\\s*|import\\(\\s*|require\\()"${name}["/]`).test(source),
      );
      expect([...(spec.install ?? [])], name).toEqual(imported);
    }
  });

  test("the program of the decoder's process is beside every function that reads pictures, and starts there", async () => {
    for (const [name, spec] of specs) {
      if (spec.install === undefined) continue;
      const parts = bundled.functions[name]?.files.filter((file) => file.endsWith(".mjs")) ?? [];
      const program = parts
        .map((file) => pathToFileURL(file).href)
        .find((url) => /\/program-\w+\.mjs$/.test(url));
      expect(((await import(program ?? "data:text/javascript,")) as { url?: string }).url, name).toBe(
        program,
      );
      const decoder = new Decoder({ program: async () => program ?? "" });
      const bytes = png({ width: 40, height: 30 });
      expect(await inspect(bytes, { decoder }), name).toMatchObject({ width: 40, height: 30 });
      // The HEIC decoder is loaded only for the first HEIC picture, from its package beside the bundle.
      const { first } = await Document.open(heic, { decoder });
      expect(await Document.prepare(first, { maxImageTokens: 256 }), name).toMatchObject({
        width: 160,
        height: 96,
      });
      decoder.end();
    }
  });

  test("a HEIC is decoded where no file may be written and no program started", async () => {
    const parts = bundled.functions.extract?.files ?? [];
    const program = pathToFileURL(parts.find((file) => /program-\w+\.mjs$/.test(file)) ?? "").href;
    const size = { width: 160, height: 96 };
    const image = { ...size, orientation: 1, pixelAspect: 1 };
    const job = { op: "encode", mimeType: "image/heic", index: 0, image, options: { maxImageTokens: 256 } };
    const answer = await confined(program, job, heic);
    expect(answer).toMatchObject({ ok: true, result: { mimeType: "image/jpeg", ...size } });
  });

  test("the decoder of HEIC is in no file of a bundle: its license is LGPL, so it stays a package that can be exchanged", async () => {
    const files = bundled.functions.extract?.files.filter((file) => file.endsWith(".mjs")) ?? [];
    for (const file of files)
      expect(await fs.readFile(file, "utf8"), file).not.toContain("_heif_context_write_to_file");
    const shipped = await fs.readdir(join(root, "node_modules/libheif-js/libheif-wasm"));
    expect(shipped).toEqual(expect.arrayContaining(["LICENSE", "libheif.js", "libheif.wasm"]));
  });

  test("PDFs are read by bundles that lie alone in a folder, where no file may be written and no program started", async () => {
    const bytes = pages([{ content: "0 0 m 300 200 l S", extra: "/UserUnit 2" }]);
    for (const [name, spec] of specs) {
      const parts = bundled.functions[name]?.files ?? [];
      const sources = await Promise.all(
        parts.filter((file) => file.endsWith(".mjs")).map((file) => fs.readFile(file, "utf8")),
      );
      expect(spec.pdf === true, name).toBe(sources.some((source) => source.includes(pdfium.name)));
      if (spec.pdf !== true) continue;
      const alone = await fs.mkdtemp(join(tmpdir(), "ocrlty-pdf-"));
      for (const file of parts) await fs.copyFile(file, join(alone, basename(file)));
      await fs.copyFile(join(root, pdfium.path), join(alone, pdfium.name));
      await fs.mkdir(join(alone, "node_modules"));
      await fs.symlink(join(root, "node_modules", "sharp"), join(alone, "node_modules", "sharp"), "junction");
      const program = parts.map((file) => basename(file)).find((file) => /^program-\w+\.mjs$/.test(file));
      const url = pathToFileURL(join(alone, program ?? "")).href;
      const job = { mimeType: "application/pdf", index: 0 };
      const header = { width: 800, height: 400, unit: "points", pages: 1 };
      expect(await confined(url, { op: "header", ...job }, bytes), name).toMatchObject({
        ok: true,
        result: header,
      });
      const encode = { op: "encode", ...job, image: {}, options: { maxImageTokens: 500 } };
      expect(await confined(url, encode, bytes), name).toMatchObject({ result: { mimeType: "image/jpeg" } });
      await fs.rm(alone, { recursive: true });
    }
  }, 60_000);

  test("a package that is loaded by import() is used through its default export: CommonJS in a separate chunk has no named exports", async () => {
    const sources = globSync(["core/**/*.ts", "functions/**/*.ts"], { cwd: root });
    const bare = /^.*\bimport\("(?![.#])([^"]+)"\).*$/gm;
    const wrong: string[] = [];
    let found = 0;
    for (const path of sources.filter((name) => !name.endsWith(".test.ts"))) {
      for (const [line, name] of (await fs.readFile(join(root, path), "utf8")).matchAll(bare)) {
        found += 1;
        // These are not part of a bundle; Node itself resolves their names.
        if (
          name !== "sharp" &&
          // A package of ES modules keeps its names.
          name !== "@embedpdf/pdfium" &&
          !name?.startsWith("libheif-js/") &&
          !line.includes(`(await import("${name}")).default`)
        )
          wrong.push(`${path}: ${name}`);
      }
    }
    expect(found).toBeGreaterThan(1);
    expect(wrong).toEqual([]);
  });

  test("the budget of a function behind routes is at most what its callers can wait for at a cold start", () => {
    const behindRoutes = new Set<string>([...routes.map((route) => route.function), defaultFunction]);
    const aims = (spec: FunctionSpec) => {
      if (spec.install !== undefined) return Number.POSITIVE_INFINITY;
      // The aim is 800; ten more are for the words that settings accept (core/setting.ts), three for the requests and
      // warnings of documents, four for runs on auto, and five for the code that dry runs share with the calls that
      // make runs.
      return spec.links.includes("bucket") || spec.links.includes("queues") ? 822 : 350;
    };
    const over = specs.filter(
      ([name, spec]) => behindRoutes.has(name) && (spec.maxBundleKb ?? Number.POSITIVE_INFINITY) > aims(spec),
    );
    expect(over.map(([name, { maxBundleKb }]) => `${name}: ${maxBundleKb} kB`)).toEqual([]);
  });

  test("each stays within its budget", () => {
    const over = specs.flatMap(([name, { maxBundleKb = 0 }]) => {
      const kb = Math.ceil((bundled.functions[name]?.bytes ?? 0) / 1000);
      return kb > maxBundleKb ? [`${name}: ${kb} kB of ${maxBundleKb}`] : [];
    });
    expect(over).toEqual([]);
  });
});
