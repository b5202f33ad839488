import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { packageRoot } from "#local/home/home";

/** A start takes about two seconds, and many times that on a machine that is busy with other tests. */
const startMs = 60_000;
vi.setConfig({ testTimeout: 2 * startMs });

let home: string;
const started: ChildProcess[] = [];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "ocrlty main "));
});
afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
});

interface Program {
  readonly child: ChildProcess;
  out(): string;
  err(): string;
  /** The address, once the last line of the start has been printed. */
  ready(): Promise<string>;
  /** Exit status, or the signal that ended it. */
  ended(): Promise<number | string>;
}

/**
 * `npm start` without npm. A developer's `.env` must not affect it, so the variables are set: they take precedence
 * over the file.
 */
function run(env: Record<string, string> = {}): Program {
  const quiet = [
    "DATABASE_URL",
    "AUTH_DB_PATH",
    "S3_BUCKET",
    "S3_ENDPOINT_URL",
    "API_KEY_PEPPER",
    "OCRLTY_TIME_SCALE",
    // Tests in one process share its environment, and some of them switch the log off.
    "LOG_LEVEL",
  ];
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", join(packageRoot, "local", "main.ts")],
    {
      cwd: tmpdir(),
      env: {
        ...process.env,
        ...Object.fromEntries(quiet.map((name) => [name, ""])),
        VLLM_BASE_URL: "http://127.0.0.1:9/v1",
        OCRLTY_HOME: home,
        PORT: "0",
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  started.push(child);
  const text = { out: "", err: "" };
  child.stdout.on("data", (chunk) => {
    text.out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    text.err += chunk;
  });
  const ended = once(child, "close").then(([status, signal]) => (status ?? signal) as number | string);
  const line = /OCRlty is ready at (http:\S+)\n$/;
  return {
    child,
    out: () => text.out,
    err: () => text.err,
    ready: async () => {
      const appeared = vi.waitFor(() => expect(text.out).toMatch(line), { timeout: startMs, interval: 20 });
      const failed = ended.then((status) => {
        throw new Error(`ended with ${status}: ${text.err}`);
      });
      await Promise.race([appeared, failed]);
      return line.exec(text.out)?.[1] ?? "";
    },
    ended: () => ended,
  };
}

/** Ends a program by a signal, and returns how it ended. Windows has no signals: every kill is a SIGKILL there. */
async function endBy(program: Program, signal: NodeJS.Signals): Promise<number | string> {
  const begin = performance.now();
  program.child.kill(signal);
  const status = await program.ended();
  expect(performance.now() - begin).toBeLessThan(3_000);
  return status;
}
const hasSignals = process.platform !== "win32";

describe("npm start", () => {
  test("says where it is on its last line, answers there with the key it wrote, and ends on Ctrl-C with 130", async () => {
    const program = run({ LOG_FORMAT: "text" });
    const url = await program.ready();
    expect(readFileSync(join(home, "url"), "utf8").trim()).toBe(url);
    const bucket = readFileSync(join(home, "bucket-url"), "utf8").trim();
    expect(program.out()).toContain(`aws s3 ls s3://ocrlty --recursive --endpoint-url ${bucket}\n`);
    const key = readFileSync(join(home, "api-key"), "utf8").trim();
    const answer = await fetch(`${url}/v1/me`, { headers: { "x-api-key": key } });
    expect(await answer.json()).toMatchObject({ key_id: "local-admin", role: "admin" });
    const requestId = answer.headers.get("x-request-id") ?? "none";
    const shown = new RegExp(`^\\d\\d:\\d\\d:\\d\\d GET {2}/v1/me 200 \\d+ ms ${requestId}$`, "m");
    await vi.waitFor(() => expect(program.out()).toMatch(shown), { timeout: 10_000 });
    const log = readFileSync(join(home, "log", "ocrlty.log"), "utf8");
    expect(log).toMatch(new RegExp(`^\\S+Z INFO {2}request_end .*request_id=${requestId} .*status=200`, "m"));
    expect(log).not.toMatch(/^\{/m);
    const ended = await endBy(program, "SIGINT");
    if (hasSignals) expect(ended).toBe(130);
    expect(program.out()).not.toContain(key);
    expect(program.out()).not.toContain("\u001b");
    expect(program.err()).toBe("");
    await expect(fetch(url)).rejects.toThrow("fetch failed");
  });

  test("loses nothing after kill -9, starts again at once on the same port, and ends on SIGTERM with 0", async () => {
    const program = run();
    const url = await program.ready();
    const key = readFileSync(join(home, "api-key"), "utf8").trim();
    await fetch(`${url}/health`);
    await endBy(program, "SIGKILL");
    const again = run({ PORT: new URL(url).port });
    expect(await again.ready()).toBe(url);
    expect((await fetch(`${url}/v1/me`, { headers: { "x-api-key": key } })).status).toBe(200);
    const ended = await endBy(again, "SIGTERM");
    if (hasSignals) expect(ended).toBe(0);
  });
});

describe("a start that fails", () => {
  const oneLine = (pattern: RegExp) =>
    expect.stringMatching(new RegExp(`^ocrlty: [^\\n]*${pattern.source}[^\\n]*\\n$`));

  test("because the folder is held says so in one line and ends with 2; the first goes on", async () => {
    const url = await run().ready();
    const second = run();
    expect(await second.ended()).toBe(2);
    expect(second.err()).toEqual(oneLine(/another loop runs in /));
    expect(second.out()).toBe("");
    expect((await fetch(`${url}/health`)).status).toBe(200);
  });

  test("because the port is taken says so in one line and ends with 2", async () => {
    const other: Server = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as AddressInfo;
    const program = run({ PORT: String(port) });
    expect(await program.ended()).toBe(2);
    expect(program.err()).toEqual(oneLine(new RegExp(`port ${port} is in use`)));
    const bucket = run({ BUCKET_PORT: String(port) });
    expect(await bucket.ended()).toBe(2);
    expect(bucket.err()).toEqual(oneLine(new RegExp(`port ${port}, the bucket's, is in use: .*BUCKET_PORT`)));
    other.close();
  });

  test.each([
    [{ PORT: "eighty" }, /PORT is not valid: it takes a port number \(0: any free one\) from 0 to 65,535/],
    [{ DATABASE_URL: "postgres://user:secret@db/x" }, /DATABASE_URL is not valid: it takes .*libsql:/],
  ])("because of %j names the variable and ends with 2", async (env, message) => {
    const program = run(env);
    expect(await program.ended()).toBe(2);
    expect(program.err()).toEqual(oneLine(message));
  });
});
