/**
 * Checks that the guides are right: their commands are typed page by page into bash against a fresh loop, and their
 * programs are run. Differences from a reader's machine: the model server is scripted, and the receiver's port is a
 * free one.
 */
import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as Guides from "#functions/docs-page/guides";
import { packageRoot } from "#local/home/home";
import { useLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";

interface Block {
  lang: string;
  text: string;
}
const read = (...path: string[]) =>
  fs.readFileSync(join(packageRoot, ...path), "utf8").replaceAll("\r\n", "\n");
const source = (name: string) => (name === "README" ? read("README.md") : read("docs", `${name}.md`));
const blocksOf = (name: string): Block[] =>
  [...source(name).matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, lang = "", text = ""]) => ({
    lang,
    text,
  }));

/** Tutorials: their shell lines are meant to be typed in this order. */
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
  test("only one page creates each run id, so reading two pages causes no conflict", () => {
    const pages = [
      "README.md",
      ...fs.readdirSync(join(packageRoot, "docs")).filter((name) => name.endsWith(".md")),
    ];
    const made = pages.flatMap((page) => {
      const text = fs.readFileSync(join(packageRoot, page === "README.md" ? "" : "docs", page), "utf8");
      const commands = [...text.matchAll(/^```(?:bash|powershell)\n([\s\S]*?)^```$/gm)]
        .map(([, block]) => block)
        .join("\n");
      const ids = commands.matchAll(/(?<![a-z_])run[_-]id(?:=|["\\]*: ?[\\"]*| = "| )([a-z]+-[\w-]+)/g);
      return [...new Set([...ids].map(([, id]) => id))].map((id) => `${id}`);
    });
    expect(made.length).toBeGreaterThan(8);
    expect(made.filter((id, i) => made.indexOf(id) !== i)).toEqual([]);
  });

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
  /** The model's answer instead of 12.00 everywhere. */
  let answer: Record<string, string | null> | undefined;
  const loop = useLoop(async () => {
    model = await ModelServer.start({
      model: "scripted",
      respond: ({ body }) => ModelServer.json(answer ?? filled(body.response_format?.json_schema?.schema)),
    });
    return {
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
    // As the launcher starts it.
    const launched = pathToFileURL(join(packageRoot, "scripts", "launched.ts")).href;
    const program = `node '--import=${launched}' '${join(packageRoot, "cli", "ocrlty.ts")}'`;
    fs.writeFileSync(
      join(folder, "package.json"),
      JSON.stringify({
        type: "module",
        scripts: { ocrlty: program, keys: `${program} keys`, extract: `${program} extract` },
      }),
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
    // Each page may be read first; the quickstart says how to set the variables.
    const variables = blocksOf("quickstart").find(({ lang }) => lang === "bash")?.text ?? "";
    const programs = ["node first.ts", ...(hasRequests ? ["python3 first.py"] : [])];
    const script = [variables, ...lines, ...(name === "quickstart" ? programs : [])].join("\n");
    const { status, out, err } = await bash(script);
    // The shell's own `curl` records every call, in order.
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

  test("README shows what its commands print, and the quickstart the same answer", {
    timeout: 60_000,
  }, async () => {
    const { "cord-bali.jpg": labeled } = JSON.parse(read("samples", "expected.json"));
    const amounts = { subtotal: "1,346,000", tax: "144,695", service: "100,950" };
    answer = { ...labeled, ...amounts, discount: null, cash: null, card: null, change: null };
    const sessions = sessionsOf("README");
    expect(sessions.map(({ command }) => command)).toEqual([
      "npm run -s extract -- samples/cord-bali.jpg",
      "npm run -s ocrlty -- batch samples --out results.csv",
    ]);
    // Other pages made the file, and no command overwrites one.
    fs.rmSync(join(folder, "results.csv"), { force: true });
    const printed: string[] = [];
    for (const { command, shown } of sessions) {
      const { status, out } = await bash(`exec 2>&1\n${command}`);
      expect(status, out).toBe(0);
      expect(out).toMatch(patternOf(shown));
      printed.push(out);
    }
    // The answer of the first command, without the lines for people.
    const whole = JSON.parse(printed[0]?.slice(0, printed[0].lastIndexOf("}") + 1) ?? "");
    const example = blocksOf("quickstart").find(({ lang }) => lang === "json")?.text ?? "";
    const { request_id, artifact_rel, ...said } = JSON.parse(example);
    expect(whole).toMatchObject(said);
    const place = /^extracts\/\d{4}-\d\d-\d\d\/local-admin\/(.+)\.json$/;
    expect([place.exec(artifact_rel)?.[1], place.exec(whole.artifact_rel)?.[1]]).toEqual([
      request_id,
      whole.request_id,
    ]);
    answer = undefined;
  });

  /** The lines as one script that stops at the first failure, as a reader would. */
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

/** The commands of a page's recorded sessions (`$ …`), each with what it shows of their output. */
function sessionsOf(name: string): { command: string; shown: string }[] {
  return blocksOf(name)
    .filter(({ lang }) => lang === "console")
    .flatMap(({ text }) => text.split(/^\$ /m).slice(1))
    .map((part) => {
      const end = part.indexOf("\n");
      return { command: part.slice(0, end), shown: part.slice(end + 1) };
    });
}

/** The shown output as a pattern: `…` stands for a text within a line, and alone for any lines. */
function patternOf(shown: string): RegExp {
  const lines = shown
    .trimEnd()
    .split("\n")
    .map((line) =>
      line === "…"
        ? "(?:.*\\n)*?"
        : `${line
            .split("…")
            .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
            .join(".+?")}\\n`,
    );
  return new RegExp(`^${lines.join("")}$`);
}

test("a recorded session that shows something else does not fit", () => {
  const shown = 'id …: 6 pictures\n…\n  "total": "1,591,600",\n';
  const printed = 'id 17: 6 pictures\nupload\n{\n  "total": "1,591,600",\n';
  expect(printed).toMatch(patternOf(shown));
  expect(printed.replace("1,591,600", "1,591,601")).not.toMatch(patternOf(shown));
  expect(printed.replace("17", "")).not.toMatch(patternOf(shown));
  expect(`${printed}more\n`).not.toMatch(patternOf(shown));
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
