import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { packageRoot } from "#local/home/home";

/** A package of its own, in a path with a space, whose entry is a small program and whose npm is a recorder. */
let root: string;
const started: ChildProcess[] = [];

beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), "ocrlty launch "));
  for (const dir of ["cli", "scripts", "local", "node_modules"]) fs.mkdirSync(join(root, dir));
  for (const file of ["launch.mjs", "child.mjs", "install.mjs", "launched.ts"])
    fs.copyFileSync(join(packageRoot, "scripts", file), join(root, "scripts", file));
  write("package.json", '{"type":"module"}');
  write("package-lock.json", '{"packages":{"":{},"node_modules/a":{"version":"1.0.0"}}}');
  write("npm-cli.js", npm);
  stamp();
});
afterEach(async () => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
  await sleep(0);
  fs.rmSync(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
});

/** Records its arguments and "installs"; NPM_STATUS makes it fail. */
const npm = `
import * as fs from "node:fs";
fs.appendFileSync("npm-calls", process.argv.slice(2).join(" ") + "\\n");
console.log("npm says hello");
await new Promise((done) => setTimeout(done, 100));
fs.mkdirSync("node_modules", { recursive: true });
process.exitCode = Number(process.env.NPM_STATUS ?? 0);
`;
/** Prints what it received, and ends as requested. */
const entry = `
console.log("args", JSON.stringify(process.argv.slice(2)), "cwd", process.cwd());
const [how, value] = process.argv.slice(2);
if (how === "exit") process.exit(Number(value));
if (how === "die") process.kill(process.pid, value);
let times = 0;
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {
  console.log("got", signal, ++times);
  setTimeout(() => process.exit(times === 1 ? 42 : 43), 100);
});
if (how === "wait") { console.log("ready", process.pid); setInterval(() => {}, 1000); }
`;

const write = (name: string, text: string) => fs.writeFileSync(join(root, name), text);
const read = (name: string) =>
  fs.existsSync(join(root, name)) ? fs.readFileSync(join(root, name), "utf8") : "";
const hash = () => createHash("sha256").update(read("package-lock.json")).digest("hex");
const stamp = () => write("node_modules/.ocrlty-lock", hash());
const installs = () => read("npm-calls").split("\n").filter(Boolean);

interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

interface Running {
  child: ChildProcess;
  output(): string;
  ended: Promise<Ended>;
}

function launch(
  args: string[],
  options: { env?: Record<string, string>; cwd?: string; detached?: boolean } = {},
): Running {
  write("local/main.ts", entry);
  const { npm_lifecycle_event: _, INIT_CWD: __, ...env } = process.env;
  const child = spawn(process.execPath, [join(root, "scripts/launch.mjs"), ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: { ...env, npm_execpath: join(root, "npm-cli.js"), ...options.env },
    detached: options.detached ?? false,
    stdio: ["ignore", "pipe", "pipe"],
  });
  started.push(child);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise<Ended>((done) =>
    child.once("close", (status) => done({ status, stdout, stderr })),
  );
  return { child, output: () => stdout + stderr, ended };
}

async function until(condition: () => boolean): Promise<void> {
  const giveUpAt = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > giveUpAt) throw new Error("waited in vain");
    await sleep(20);
  }
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe("the entry", () => {
  it("gets its arguments as they are, runs in the package and passes its exit status on", async () => {
    const { status, stdout, stderr } = await launch(["start", "exit", "7", "a b", "--x=ü"]).ended;
    expect({ status, stderr }).toEqual({ status: 7, stderr: "" });
    expect(stdout).toContain(`args ["exit","7","a b","--x=ü"] cwd ${fs.realpathSync(root)}`);
    expect(installs()).toEqual([]);
  });

  it("a command that takes files runs where its caller stands", async () => {
    write("cli/ocrlty.ts", entry);
    const caller = join(root, "local");
    const { stdout } = await launch(["extract", "exit"], { env: { INIT_CWD: caller } }).ended;
    expect(stdout).toContain(`args ["extract","exit"] cwd ${fs.realpathSync(caller)}`);
  });

  it("an argument that is no script's name is a command of the program, as with npx", async () => {
    write("cli/ocrlty.ts", entry);
    const { stdout } = await launch(["batch", "--wrong"]).ended;
    expect(stdout).toContain('args ["batch","--wrong"]');
  });

  it("says what it is, and starts nothing", async () => {
    const { status, stdout } = await launch(["start", "--help"]).ended;
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Usage: npx ocrlty start\n[\s\S]*Example:\n {2}\S.*\n\nExit status: 130 /);
  });
});

describe.skipIf(process.platform === "win32")("signals", () => {
  it("an entry that a signal ended gives 128 + n", async () => {
    expect((await launch(["start", "die", "SIGKILL"]).ended).status).toBe(137);
    expect((await launch(["start", "die", "SIGINT"]).ended).status).toBe(130);
  });

  it.each(["SIGINT", "SIGTERM"] as const)(
    "%s sent only to the launcher reaches the entry",
    async (signal) => {
      const running = launch(["start", "wait"]);
      await until(() => running.output().includes("ready"));
      running.child.kill(signal);
      const { status, stdout } = await running.ended;
      expect(stdout).toContain(`got ${signal} 1`);
      expect(status).toBe(42);
    },
  );

  it("Ctrl-C, which a terminal sends to both, reaches the entry once", async () => {
    const running = launch(["start", "wait"], { detached: true });
    await until(() => running.output().includes("ready"));
    process.kill(-(running.child.pid ?? 0), "SIGINT");
    const { status, stdout } = await running.ended;
    expect(stdout).toContain("got SIGINT 1");
    expect(status).toBe(42);
  });

  it("a launcher that is killed leaves no entry behind", async () => {
    const running = launch(["start", "wait"]);
    await until(() => running.output().includes("ready"));
    const pid = Number(/ready (\d+)/.exec(running.output())?.[1]);
    running.child.kill("SIGKILL");
    await until(() => !isAlive(pid));
    await running.ended;
    expect(running.output()).toContain("got SIGTERM 1");
  });

  it("the entry stops when npm, its ancestor, ends", async () => {
    const line = `"${process.execPath}" "${join(root, "scripts/launch.mjs")}" start wait`;
    write("local/main.ts", entry);
    const shell = spawn(line, {
      shell: true,
      env: { ...process.env, npm_lifecycle_event: "start" },
      stdio: ["ignore", "pipe", "ignore"],
    });
    started.push(shell);
    let output = "";
    shell.stdout.on("data", (chunk) => {
      output += chunk;
    });
    await until(() => output.includes("ready"));
    const pid = Number(/ready (\d+)/.exec(output)?.[1]);
    shell.kill("SIGKILL");
    await until(() => !isAlive(pid));
  });
});

describe("packages", () => {
  it("are installed once per lock file, with one line on stderr", async () => {
    fs.rmSync(join(root, "node_modules"), { recursive: true });
    const first = await launch(["start", "exit", "0"]).ended;
    expect(first.status).toBe(0);
    expect(first.stdout).toMatch(/^args .*\n$/);
    expect(first.stderr).toMatch(/^installing packages, once… done in \d+ s\n$/);
    expect(installs()).toEqual([
      expect.stringMatching(/^ci --ignore-scripts --include=dev --include=optional --loglevel=error/),
    ]);

    const second = await launch(["start", "exit", "0"]).ended;
    expect(second.stderr).toBe("");
    expect(installs()).toHaveLength(1);

    write("package-lock.json", '{"packages":{"":{},"node_modules/a":{"version":"2.0.0"}}}');
    await launch(["start", "exit", "0"]).ended;
    expect(installs()).toHaveLength(2);
  });

  it("are not installed again after a manual npm install, unless one is missing or has another version", async () => {
    fs.rmSync(join(root, "node_modules/.ocrlty-lock"));
    write("node_modules/.package-lock.json", '{"packages":{"node_modules/a":{"version":"0.9.0"}}}');
    await launch(["start", "exit", "0"]).ended;
    expect(installs()).toHaveLength(1);

    fs.rmSync(join(root, "node_modules/.ocrlty-lock"));
    write("node_modules/.package-lock.json", '{"packages":{"node_modules/a":{"version":"1.0.0"}}}');
    await launch(["start", "exit", "0"]).ended;
    expect(installs()).toHaveLength(1);
    expect(read("node_modules/.ocrlty-lock")).toContain(hash());
  });

  it("a failed installation is one line, exit status 2, and is tried again next time", async () => {
    fs.rmSync(join(root, "node_modules"), { recursive: true });
    const failed = await launch(["start", "exit", "0"], { env: { NPM_STATUS: "3" } }).ended;
    expect(failed).toMatchObject({ status: 2, stdout: "" });
    expect(failed.stderr).toMatch(/npm says hello\nerror: npm ci failed \(exit status 3\).*\n$/);
    expect((await launch(["start", "exit", "0"]).ended).status).toBe(0);
    expect(installs()).toHaveLength(2);
  });

  it("commands that start together install once", async () => {
    fs.rmSync(join(root, "node_modules"), { recursive: true });
    const ended = await Promise.all(
      [1, 2, 3].map((status) => launch(["start", "exit", String(status)]).ended),
    );
    expect(ended.map(({ status }) => status)).toEqual([1, 2, 3]);
    expect(installs()).toHaveLength(1);
  });

  it("a lock that a killed command left behind stops no later command", async () => {
    fs.rmSync(join(root, "node_modules"), { recursive: true });
    const gone = spawn(process.execPath, ["-e", ""]);
    await new Promise((done) => gone.once("exit", done));
    write(".ocrlty-install.tmp", `${gone.pid}`);
    expect((await launch(["start", "exit", "0"]).ended).status).toBe(0);
    expect(installs()).toHaveLength(1);
    expect(fs.existsSync(join(root, ".ocrlty-install.tmp"))).toBe(false);
  });
});
