/**
 * The guides are true: what they say to type is typed, page by page, into bash against a fresh loop, and their programs
 * are run. What differs from a reader's machine: the model server is scripted, and the receiver's port is a free one.
 */
import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Guides from "#functions/docs-page/guides";
import { packageRoot } from "#local/home/home";
import { useLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";

interface Block {
  lang: string;
  text: string;
}
const source = (name: string) =>
  fs.readFileSync(join(packageRoot, "docs", `${name}.md`), "utf8").replaceAll("\r\n", "\n");
const blocksOf = (name: string): Block[] =>
  [...source(name).matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, lang = "", text = ""]) => ({
    lang,
    text,
  }));

/** Pages that lead by the hand: their shell lines are meant to be typed in this order. */
const typed = ["quickstart", "batches", "webhooks"];

const runs = (command: string, ...args: string[]) => {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};
const hasBash = process.platform !== "win32" && runs("bash", "-c", "curl --version");
const hasRequests = runs("python3", "-c", "import requests");
if (!hasBash) console.warn("the guides' commands are not run: they need bash and curl");
if (!hasRequests) console.warn("the guides' Python is not run: it needs python3 with requests");

describe("what is written", () => {
  test.each(typed)("%s: every line for bash has its form for PowerShell behind it", (name) => {
    const blocks = blocksOf(name);
    const alone = blocks.filter(({ lang }, i) => lang === "bash" && blocks[i + 1]?.lang !== "powershell");
    expect(blocks.length).toBeGreaterThan(5);
    expect(alone).toEqual([]);
  });

  test.each(Object.keys(Guides.guides))("%s: JSON is JSON, and programs can be parsed", (name) => {
    for (const { lang, text } of blocksOf(name)) {
      if (lang === "json") expect(() => JSON.parse(text), text).not.toThrow();
      if (lang === "py" && runs("python3", "--version"))
        execFileSync("python3", ["-c", "import ast,sys; ast.parse(sys.stdin.read())"], { input: text });
    }
  });
});

describe.skipIf(!hasBash)("what is typed", () => {
  let model: ModelServer.ModelServer;
  let folder: string;
  let port: number;
  const loop = useLoop(async () => {
    model = await ModelServer.start({
      model: "scripted",
      respond: ({ body }) => ModelServer.json(filled(body.response_format?.json_schema?.schema)),
    });
    return {
      httpInstances: 4,
      env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", WEBHOOK_ALLOW_PRIVATE: "1" },
    };
  });
  beforeAll(async () => {
    port = await freePort();
    folder = fs.mkdtempSync(join(tmpdir(), "ocrlty guides "));
    fs.mkdirSync(join(folder, ".ocrlty"));
    fs.writeFileSync(join(folder, ".ocrlty", "url"), `${loop().url}\n`);
    fs.writeFileSync(join(folder, ".ocrlty", "api-key"), `${loop().apiKey}\n`);
    for (const name of ["samples", "node_modules"])
      fs.symlinkSync(join(packageRoot, name), join(folder, name));
    const program = `node '${join(packageRoot, "cli", "ocrlty.ts")}'`;
    fs.writeFileSync(
      join(folder, "package.json"),
      JSON.stringify({ type: "module", scripts: { ocrlty: program, keys: `${program} keys` } }),
    );
  });
  afterAll(async () => {
    await model?.close();
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  test.each(typed)("%s", { timeout: 90_000 }, async (name) => {
    const blocks = blocksOf(name).map(({ lang, text }) => ({
      lang,
      text: text.replaceAll("3000", String(port)),
    }));
    for (const { text } of blocks) {
      const file = /^(?:\/\/|#) (\w+\.\w+)\n/.exec(text)?.[1];
      if (file !== undefined) fs.writeFileSync(join(folder, file), text);
    }
    const lines = blocks.filter(({ lang }) => lang === "bash").map(({ text }) => text);
    // Each page may be read first; the variables are set on the quickstart's.
    const variables = blocksOf("quickstart").find(({ lang }) => lang === "bash")?.text ?? "";
    const programs = ["node first.ts", ...(hasRequests ? ["python3 first.py"] : [])];
    const script = [variables, ...lines, ...(name === "quickstart" ? programs : [])].join("\n");
    const { status, out, err } = await bash(script);
    // Every call is written down by the shell's own `curl`, in the order they were made.
    const calls = [...err.matchAll(/^call (\d+) (\S+)$/gm)].map(([, code, path]) => `${code} ${path}`);
    expect(status, `${out}\n${err}`).toBe(0);
    expect(calls.length).toBeGreaterThan(0);
    const refused = calls.filter((call) => !/^[23]/.test(call));
    expect(refused).toEqual(name === "quickstart" ? [expect.stringMatching(/^400 .*\/v1\/extract$/)] : []);
    if (name === "quickstart") {
      expect(out).toContain('"status":"succeeded"');
      // What the two programs print.
      expect(out.match(/(?:^|\})12\.00$/gm)).toHaveLength(hasRequests ? 2 : 1);
    }
    if (name === "batches") {
      for (const table of ["results.csv", "rows.csv", "folder.csv"])
        expect(fs.readFileSync(join(folder, table), "utf8"), table).toMatch(/12\.00/);
      expect((await loop().call("/v1/runs/shop-2")).status).toBe(404);
      expect((await loop().call("/v1/runs/uploads-1")).body).toMatchObject({ counts: { total: 1 } });
    }
    if (name === "webhooks") expect(out).toMatch(/webhook\.test local-admin[\s\S]*run\.succeeded told-1/);
  });

  /** The lines as one script that stops where one fails, as a reader would. */
  async function bash(script: string): Promise<{ status: number | null; out: string; err: string }> {
    const prelude = `curl() { command curl -w '%{stderr}call %{http_code} %{url_effective}\\n' "$@"; }
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
`;
    const child = spawn("bash", ["-eu", "-c", prelude + script], {
      cwd: folder,
      env: {
        ...process.env,
        PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
        OCRLTY_HOME: loop().home,
        WEBHOOK_ALLOW_PRIVATE: "1",
        NODE_OPTIONS: "--disable-warning=ExperimentalWarning",
        no_proxy: "127.0.0.1",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [out, err] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text) => (out += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (err += text));
    const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
    return { status, out, err };
  }
});

interface Schema {
  type?: string | string[];
  properties?: Record<string, Schema>;
  items?: Schema;
  anyOf?: Schema[];
}

/** The smallest value of a task's schema in which every amount is 12.00. */
function filled(schema: unknown): unknown {
  const { type, properties, items, anyOf } = (schema ?? {}) as Schema;
  if (anyOf !== undefined) return filled(anyOf[0]);
  if (properties !== undefined)
    return Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, filled(each)]));
  if (items !== undefined) return [filled(items)];
  return [type].flat().includes("string") ? "12.00" : null;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
