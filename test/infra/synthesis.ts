/**
 * Runs sst.config.ts with SST's real components but without a cloud: Pulumi's mocks receive what would be created. It
 * also does what the SST command does around them (SST 4.17: the globals of the bundle, and the requests of
 * components).
 */
import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import * as fs from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, join, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { build, transform } from "esbuild";
import type { Bundle } from "#local/bundle/bundle";
import { platform, root } from "#scripts/sst-platform";

/** A resource that would be created, with its inputs. A secret value reads `{ secret: … }`. */
export interface Resource {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
  /** True if it stays when it, or the whole stage, is removed. */
  retained: boolean;
}

/** A linkable: its name, its type and its properties. */
export interface LinkRef {
  target: string;
  properties: Record<string, unknown>;
  include?: { type: string; binding?: string }[];
}

/** What a component asked SST to bundle: its handler, the values of its links, its options. */
export interface Build {
  functionID: string;
  handler: string;
  links: Record<string, Record<string, unknown>>;
  properties: Record<string, unknown>;
  runtime: string;
  /** What SST puts beside the bundle. */
  copyFiles?: { from: string; to: string; isDir: boolean }[];
  /** The fields of each source map as it would be packed; empty unless the stage is made with `packed`. */
  maps: string[][];
}

export interface Synthesis {
  resources: Resource[];
  /** By name. */
  links: Record<string, LinkRef>;
  builds: Build[];
  /** What SST prints at the end of a deployment, as far as it is known before. */
  outputs: Record<string, string>;
  app: { protect?: boolean; removal?: string; providers?: Record<string, string> };
}

export interface Options {
  /** Of {@link bundleProgram}. */
  program: string;
  stage: string;
  /** The environment of `sst deploy`; nothing else of this process is passed on. */
  env: Record<string, string>;
  /** The functions as the local loop bundles them, by handler. */
  bundle: Bundle;
  handlers: Readonly<Record<string, string>>;
  /**
   * True if SST packs everything, including source maps. Compressing them takes as long as the rest of a stage, so
   * otherwise only the file with the handler is packed.
   */
  packed?: boolean;
  /** The components of the last deployment. */
  made?: readonly string[];
  /** As under `sst dev`: the functions run on the developer's machine. */
  dev?: boolean;
}

const unusedMs = 3_600_000;

/** The resources of one stage. @throws the program's own message if it fails. */
export async function synthesize(options: Options): Promise<Synthesis> {
  const work = await fs.mkdtemp(join(tmpdir(), "ocrlty-synthesis-"));
  const builds: Build[] = [];
  const server = await serve(options, work, builds);
  try {
    const app = await appOf(options.stage, options.env);
    const out = join(work, "resources.json");
    const globals = globalsOf(options, app, work);
    const address = server.address() as AddressInfo;
    const env = {
      ...options.env,
      PATH: process.env.PATH ?? "",
      SST_SERVER: `http://127.0.0.1:${address.port}`,
    };
    const args = [platform, options.program, options.stage, out, JSON.stringify(globals)];
    await run([join(import.meta.dirname, "program.ts"), ...args], env);
    if (options.packed) for (const one of builds) one.maps = await mapsOf(join(work, "out", one.functionID));
    const made = JSON.parse(await fs.readFile(out, "utf8")) as Pick<
      Synthesis,
      "resources" | "links" | "outputs"
    >;
    return { app, builds, ...made };
  } finally {
    server.closeAllConnections();
    server.close();
    await fs.rm(work, { recursive: true, force: true });
  }
}

async function mapsOf(dir: string): Promise<string[][]> {
  const names = (await fs.readdir(dir)).filter((name) => name.endsWith(".map"));
  const texts = await Promise.all(names.map((name) => fs.readFile(join(dir, name), "utf8")));
  return texts.map((text) => Object.keys(JSON.parse(text)).toSorted());
}

type App = Synthesis["app"] & Record<string, unknown>;

/** The result of `app()` of sst.config.ts for a stage. */
async function appOf(stage: string, env: Options["env"]): Promise<App> {
  return (await configOf(stage, env)).app({ stage });
}

/** sst.config.ts alone, with the globals of SST that it uses before it loads infra/. */
async function configOf(
  stage: string,
  env: Options["env"] = {},
): Promise<{ app(input: { stage: string }): App; run(): Promise<unknown> }> {
  const source = await fs.readFile(join(root, "sst.config.ts"), "utf8");
  const globals = `const $config = (config) => config; const $app = { stage: ${JSON.stringify(stage)} }; const process = { env: ${JSON.stringify(env)} };`;
  const { code } = await transform(`${globals}\n${source}`, { loader: "ts", format: "esm" });
  const config = await import(`data:text/javascript,${encodeURIComponent(code)}`);
  return config.default;
}

/** Calls sst.config.ts for a stage that it must refuse. @throws its message; another error if it accepts the stage. */
export async function refused(stage: string): Promise<void> {
  await (await configOf(stage)).run();
}

/** What the SST command passes to the program: the stage, the command, and the components of the last deployment. */
function globalsOf({ stage, dev = false, made = [] }: Options, app: App, work: string) {
  const paths = { home: work, root, work, platform };
  const version = Object.fromEntries(made.map((name) => [name, 1]));
  const $cli = { command: dev ? "dev" : "deploy", rpc: "", dev, paths, state: { version } };
  return { $app: { ...app, stage }, $cli, $dev: dev };
}

/**
 * Bundles sst.config.ts and infra/ into one file for all stages, with SST's globals. It is placed beside SST's
 * packages, so that they are found, and named by its content, so that Node's compile cache fits.
 * @returns its path
 */
export async function bundleProgram(): Promise<string> {
  const lock = JSON.parse(await fs.readFile(join(root, ".sst", "provider-lock.json"), "utf8")) as {
    alias: string;
    package: string;
  }[];
  const globals = [
    ...lock.map((provider) => `import * as ${provider.alias} from ${JSON.stringify(provider.package)};`),
    `import * as sst from ${JSON.stringify(join(platform, "src", "components"))};`,
  ].join("");
  const { outputFiles } = await build({
    stdin: {
      contents: [
        `import { run } from ${JSON.stringify(join(platform, "src", "auto", "run.ts"))};`,
        `import config from ${JSON.stringify(join(root, "sst.config.ts"))};`,
        "export default () => run(config.run);",
      ].join("\n"),
      resolveDir: root,
    },
    outdir: platform,
    write: false,
    bundle: true,
    format: "esm",
    platform: "node",
    mainFields: ["module", "main"],
    external: ["@pulumi/*", "@aws-sdk/*", "undici", "esbuild", "archiver", "glob", "vite"],
    inject: [join(platform, "src", "shim", "run.js")],
    banner: {
      js: 'import { createRequire as bannerRequire } from "node:module"; const require = bannerRequire(import.meta.url);',
    },
    logLevel: "silent",
    plugins: [
      {
        name: "sst-globals",
        setup: (plugin) => {
          plugin.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
            if (path.startsWith(join(root, ".sst") + sep)) return undefined;
            // On the first line, so that line numbers stay the same.
            return { contents: globals + (await fs.readFile(path, "utf8")), loader: "ts" };
          });
        },
      },
    ],
  });
  const contents = outputFiles[0]?.contents ?? new Uint8Array();
  const name = `ocrlty-${createHash("sha256").update(contents).digest("hex").slice(0, 20)}.mjs`;
  await removeUnused(name);
  // Renamed into place, because another process may load it at this moment.
  const draft = join(platform, `ocrlty-${randomUUID()}.mjs`);
  await fs.writeFile(draft, contents);
  await fs.rename(draft, join(platform, name));
  return join(platform, name);
}

/** Removes the programs of earlier sources that are older than an hour. */
async function removeUnused(name: string): Promise<void> {
  for (const other of await fs.readdir(platform)) {
    if (other === name || !/^ocrlty-.*\.mjs$/.test(other)) continue;
    const made = await fs.stat(join(platform, other)).catch(() => undefined);
    if (made !== undefined && Date.now() - made.mtimeMs > unusedMs)
      await fs.rm(join(platform, other), { force: true });
  }
}

/** Answers the requests of components to the SST command. */
async function serve(options: Options, work: string, builds: Build[]) {
  const answers: Record<string, (params: unknown) => unknown> = {
    "Provider.Aws.Bootstrap": () => ({
      version: 1,
      asset: "assets",
      state: "state",
      assetEcrRegistryId: "123456789012",
      assetEcrUrl: "123456789012.dkr.ecr.us-east-1.amazonaws.com/assets",
    }),
    "Provider.Aws.Appsync": () => ({ http: "appsync.example.com", realtime: "appsync-realtime.example.com" }),
    // Under `sst dev` nothing is packed; SST notes what it must run when a call comes.
    "Runtime.AddTarget": (params) => {
      builds.push({ ...(params as Build), maps: [] });
      return true;
    },
    "Runtime.Build": async (params) => {
      const asked = { ...(params as Build), maps: [] };
      builds.push(asked);
      const name = Object.entries(options.handlers).find(([, handler]) => handler === asked.handler)?.[0];
      const bundled = name === undefined ? undefined : options.bundle.functions[name];
      if (bundled === undefined) return { errors: [`${asked.handler} was not bundled`], sourcemaps: [] };
      const out = join(work, "out", asked.functionID);
      await fs.mkdir(out, { recursive: true });
      const packed = options.packed ? bundled.files.flatMap((each) => [each, `${each}.map`]) : [bundled.file];
      for (const file of packed) await fs.copyFile(file, join(out, basename(file)));
      return {
        handler: `${basename(bundled.file, ".mjs")}.${bundled.exportName}`,
        out,
        errors: [],
        sourcemaps: [],
      };
    },
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", async () => {
      const { method, params } = JSON.parse(Buffer.concat(chunks).toString()) as {
        method: string;
        params: unknown[];
      };
      const answer = answers[method];
      const body =
        answer === undefined
          ? { error: `rpc: can't find method ${method}` }
          : { result: await answer(params[0]) };
      response.end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/**
 * Pulumi keeps the stack of every promise and creates many short-lived objects; less of both saves two thirds of its
 * time.
 */
const lean = ["--stack-trace-limit=1", "--max-semi-space-size=32"];

function run(args: string[], env: Record<string, string>): Promise<void> {
  return new Promise((resolve, reject) => {
    const flags = ["--disable-warning=ExperimentalWarning", "--unhandled-rejections=strict", ...lean];
    execFile(
      process.execPath,
      [...flags, ...args],
      { env, cwd: root, timeout: 120_000 },
      (error, stdout, stderr) => {
        if (error === null) resolve();
        else reject(new Error(`the program failed:\n${stdout}${stderr}`));
      },
    );
  });
}

/** A file's address for `import()`, which takes no Windows paths. */
export const urlOf = (path: string) => pathToFileURL(path).href;
