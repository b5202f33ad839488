/**
 * Against one local loop: the client as users get it, packed and installed into an empty folder; and the commands of an
 * operator who looks at the loop's own database, bucket and queues.
 */
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { SendMessageCommand } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageRoot } from "#local/home";
import { type Cli, open } from "#scripts/batch/cli-for-tests";
import * as Redrive from "#scripts/commands/redrive";
import { exit } from "#scripts/context";
import { startLoop, type TestLoop } from "#test/loop";
import * as ModelServer from "#test/model-server";
import { picture } from "#test/pictures";

interface Ended {
  status: number;
  stdout: string;
  stderr: string;
}

let cli: Cli;
let loop: TestLoop;
let model: ModelServer.ModelServer;
let project: string;
let tarball: string[];

beforeAll(async () => {
  cli = open();
  model = await ModelServer.start({ respond: async () => ModelServer.json({ total: "12.00" }) });
  [loop, tarball] = await Promise.all([
    startLoop({
      home: join(cli.dir, "home"),
      env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", VLLM_API_KEY: "model-key" },
    }),
    install(),
  ]);
});
afterAll(async () => {
  await loop?.close();
  await model?.close();
  cli?.remove();
});

/** npm as it started these tests, else the one on the PATH. */
async function npm(args: string[], cwd: string): Promise<string> {
  const own = process.env.npm_execpath ?? "";
  const isOwn = /npm-cli\.js$/.test(own);
  const [command, before] = isOwn ? [process.execPath, [own]] : ["npm", []];
  // What the npm around us was told is not meant for this one.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  const shell = !isOwn && process.platform === "win32";
  return (await promisify(execFile)(command, [...before, ...args], { cwd, env, shell })).stdout;
}

/** Packs the client and installs it; the names of the files in the tarball. */
async function install(): Promise<string[]> {
  project = join(cli.dir, "project");
  fs.mkdirSync(project);
  fs.writeFileSync(join(project, "package.json"), '{"private":true}');
  const packed = await npm(
    ["pack", "--json", "--silent", "--pack-destination", cli.dir, join(packageRoot, "packages", "client")],
    packageRoot,
  );
  const [{ filename, files }] = JSON.parse(packed.slice(packed.indexOf("[")));
  // Offline: it needs nothing else.
  await npm(["install", "--offline", "--no-audit", "--no-fund", join(cli.dir, filename)], project);
  return files.map(({ path }: { path: string }) => path);
}

function ocrlty(...args: string[]): Promise<Ended> {
  const main = join(project, "node_modules", "ocrlty", "dist", "ocrlty.js");
  const user = join(cli.dir, "user");
  const env = { PATH: process.env.PATH, SystemRoot: process.env.SystemRoot, HOME: user, APPDATA: user };
  return new Promise((done) =>
    execFile(process.execPath, [main, ...args], { cwd: project, env }, (error, stdout, stderr) =>
      done({ status: error === null ? 0 : Number(error.code), stdout, stderr }),
    ),
  );
}

describe("the packed client", () => {
  it("is one file of JavaScript without dependencies, in the version of the checkout", async () => {
    expect(tarball.toSorted()).toEqual(["LICENSE", "README.md", "dist/ocrlty.js", "package.json"]);
    const lock = JSON.parse(fs.readFileSync(join(project, "package-lock.json"), "utf8"));
    expect(Object.keys(lock.packages)).toEqual(["", "node_modules/ocrlty"]);
    expect(fs.readdirSync(join(project, "node_modules", ".bin"))).toContain("ocrlty");
    const { version } = JSON.parse(fs.readFileSync(join(packageRoot, "package.json"), "utf8"));
    expect(lock.packages["node_modules/ocrlty"].version).toBe(version);
    expect((await ocrlty("--version")).stdout).toBe(`${version}\n`);
  });

  it("reads a picture and a folder on the server of a profile, and a large picture by way of an upload", async () => {
    const add = ["profile", "add", "loop", "--url", loop.url, "--key", loop.apiKey];
    expect(await ocrlty(...add)).toMatchObject({
      status: exit.ok,
      stderr: expect.stringContaining("npx ocrlty whoami --profile loop"),
    });
    await ocrlty("profile", "use", "loop");
    expect(JSON.parse((await ocrlty("whoami", "--json")).stdout)).toMatchObject({ key_id: "local-admin" });
    fs.mkdirSync(join(project, "in"));
    fs.writeFileSync(join(project, "in", "a.jpg"), await picture(1));
    // What comes behind a JPEG's end is nobody's concern, but its size is.
    fs.writeFileSync(join(project, "large.jpg"), Buffer.concat([await picture(2), Buffer.alloc(4_000_000)]));
    const one = await ocrlty("extract", "in/a.jpg", "large.jpg");
    expect(one.stderr).toContain("large.jpg: 4.0 MB, uploaded");
    const totals = one.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).result.total);
    expect(totals).toEqual(["12.00", "12.00"]);
    const batch = await ocrlty("batch", "in", "--run-id", "packed", "--out", "out.csv");
    expect(batch).toMatchObject({ status: exit.ok, stdout: "packed succeeded: 1 of 1 succeeded\nout.csv\n" });
  });

  it("says in one line what needs a checkout, and without a server which one to name", async () => {
    for (const name of ["start", "keys"]) {
      const { status, stdout, stderr } = await ocrlty(name, "--port", "1");
      expect({ status, stdout }).toEqual({ status: exit.failed, stdout: "" });
      expect(stderr).toMatch(
        new RegExp(`^error: .ocrlty ${name}. needs a checkout: clone .*npx ocrlty ${name} in it\n$`),
      );
    }
    const lost = await ocrlty("whoami", "--profile", "local", "--json");
    expect(JSON.parse(lost.stdout).error).toMatchObject({
      code: "usage",
      message: expect.stringMatching(/^which server\?/),
    });
    expect(lost.stderr).toContain("(npx ocrlty profile add --help)");
  });
});

interface Finding {
  check: string;
  state: string;
  found: string;
  cure: string | null;
}

describe("doctor", () => {
  const examine = async (env: Record<string, string> = {}, ...args: string[]) => {
    const { status, stdout } = await cli.run(["doctor", "--json", ...args], { env });
    const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: Finding[] };
    expect(status).toBe(ok ? exit.ok : exit.items);
    return { status, of: (check: string) => findings.find((each) => each.check === check) };
  };

  it("finds nothing wrong with a loop that runs, and says so in a table", async () => {
    const { status, of } = await examine();
    expect(status).toBe(exit.ok);
    expect(of("server")?.found).toContain(loop.url);
    expect(of("key")?.found).toMatch(/^local-admin, role admin, from .*api-key$/);
    for (const check of ["model_server", "storage", "database", "queue", "migrations", "queue single"])
      expect(of(check)?.state, check).toBe("ok");
    const { stdout } = await cli.run(["doctor"]);
    expect(stdout).toMatch(/^CHECK +STATE +FOUND +CURE\n[\s\S]*\nnothing is wrong\n$/);
    expect(stdout).not.toContain(loop.apiKey);
  });

  it("names a key that is refused, a setting that is wrong and a dead letter, each with its cure", async () => {
    const { client, urls } = Redrive.access({ env: { OCRLTY_HOME: join(cli.dir, "home") } });
    const { deadUrl } = await Redrive.find(client, urls.LATER_QUEUE_URL ?? "");
    await client.send(new SendMessageCommand({ QueueUrl: deadUrl, MessageBody: "{}" }));
    client.destroy();
    const { of } = await examine({ OCRLTY_API_KEY: "of-another-server", GPU_COST_PER_HOUR: "much" });
    expect(of("key")).toMatchObject({
      state: "wrong",
      cure: expect.stringContaining("unset OCRLTY_API_KEY"),
    });
    expect(of("settings")).toMatchObject({
      state: "wrong",
      found: expect.stringContaining("GPU_COST_PER_HOUR"),
    });
    expect(of("queue later")).toMatchObject({
      state: "wrong",
      found: "0 waiting, 1 dead letters",
      cure: "npm run ocrlty -- redrive later --dry-run",
    });
  });

  it("names migrations that are missing, a token that ends, and a server that is away", async () => {
    cli.file("empty.db", "");
    const claims = Buffer.from(JSON.stringify({ exp: Date.now() / 1000 + 86_400 })).toString("base64url");
    const { of } = await examine(
      { DATABASE_URL: `file:${join(cli.dir, "empty.db")}`, DATABASE_AUTH_TOKEN: `a.${claims}.b` },
      ...["--url", "http://127.0.0.1:47123"],
    );
    expect(of("migrations")).toMatchObject({ state: "wrong", cure: "npm run ocrlty -- migrate" });
    expect(of("expiry DATABASE_AUTH_TOKEN")).toMatchObject({
      state: "wrong",
      found: expect.stringMatching(/^ends 2/),
    });
    expect(of("server")).toMatchObject({ state: "wrong" });
  });
});

describe("restore", () => {
  it("puts a backup of the loop back into its own bucket, where all of it is", async () => {
    const made = await cli.run(["backup", "--out", "b.tar.gz", "--kind", "extracts"]);
    expect(made.status).toBe(exit.ok);
    const dry = await cli.run(["restore", "b.tar.gz", "--dry-run"]);
    expect(dry).toMatchObject({ status: exit.ok, stdout: "nothing was written\n" });
    const { status, stdout } = await cli.run(["restore", "b.tar.gz", "--json"]);
    expect(status).toBe(exit.ok);
    const { entries, restored } = JSON.parse(stdout);
    expect(entries).toBeGreaterThanOrEqual(2);
    expect(restored).toMatchObject({ written: 0, already_there: entries, conflicts: 0, rows: 0 });
  });

  it("an archive that is none is refused before anything is written", async () => {
    cli.file("bad.tar.gz", "no archive");
    const { status, stdout, stderr } = await cli.run(["restore", "bad.tar.gz", "--json"]);
    expect(status).toBe(exit.items);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, restored: null });
    expect(stderr).toMatch(/^error: bad\.tar\.gz: the archive is damaged/);
  });
});
