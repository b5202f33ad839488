import * as fs from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { run } from "#cli/program";
import { exit } from "#cli/terminal/context";
import * as LogFile from "#local/lambda/log-file";
import { functions } from "#spec/functions";
import { type Cli, open } from "#test/support/batch-cli";
import { serve } from "#test/support/scripted-server";
import { openerOf } from "../artifact.ts";

let cli: Cli;
beforeEach(() => {
  cli = open();
});
afterEach(() => cli.remove());

const json = (event: string, request_id: string, more: object = {}) =>
  JSON.stringify({ time: "2026-11-30T09:00:00.000Z", level: "INFO", event, request_id, ...more });

describe("logs of the local loop", () => {
  test("are shown as text from the oldest file to the newest, or as lines of JSON", async () => {
    cli.file("home/log/ocrlty.log.2", `${json("first", "a")}\n`);
    cli.file("home/log/ocrlty.log.1", `${json("second", "b", { route: "GET /health" })}\n`);
    cli.file("home/log/ocrlty.log", `${json("third", "a")}\n2026 WARN  fourth request_id=a \u001b[2J\n`);
    expect((await cli.run(["logs"])).stdout).toBe(`2026-11-30T09:00:00.000Z INFO  first request_id=a
2026-11-30T09:00:00.000Z INFO  second request_id=b route="GET /health"
2026-11-30T09:00:00.000Z INFO  third request_id=a
2026 WARN  fourth request_id=a \\u{1b}[2J
`);
    const lines = (await cli.run(["logs", "--json"])).stdout.trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).event ?? "none")).toEqual([
      "first",
      "second",
      "third",
      "none",
    ]);
  });

  test("of one request are those with exactly its id, in either form", async () => {
    cli.file(
      "home/log/ocrlty.log",
      `${json("x", "a")}\n${json("y", "ab")}\nT INFO  z request_id=a\nT INFO  z request_id=ab\n${json("w", "c", { extract_id: "a" })}\nT INFO  v extract_id=a\n`,
    );
    const { stdout, stderr } = await cli.run(["logs", "--request", "a"]);
    expect(stdout.match(/(v|w|x|y|z) /g)).toEqual(["x ", "z ", "w ", "v "]);
    expect(stderr).toBe("");
    const none = await cli.run(["logs", "--request", "b"]);
    expect(none).toMatchObject({
      status: 0,
      stdout: "",
      stderr: expect.stringMatching(/^no line has this id/),
    });
  });

  test("that are followed continue in the next file when one is full, and end with Ctrl-C", async () => {
    const dir = join(cli.dir, "home", "log");
    const log = LogFile.open(dir, { maxBytes: 1_000, keep: 3 });
    log.write(json("before", "a"));
    const stop = new AbortController();
    let shown = "";
    const ended = run(["logs", "--follow", "--json"], {
      ...{ env: { OCRLTY_HOME: join(cli.dir, "home") }, cwd: cli.dir, signal: stop.signal },
      ...{ say: () => undefined, stdin: async () => Buffer.alloc(0) },
      out: (text) => {
        shown += text;
      },
    });
    await vi.waitFor(() => expect(shown).toContain("before"));
    // Two files of lines, between which the log is rotated.
    for (let i = 0; i < 15; i += 1) log.write(json(`line-${i}`, "a"));
    await vi.waitFor(() => expect(shown).toContain("line-14"), 5_000);
    expect(shown.match(/line-\d+/g)).toEqual(Array.from({ length: 15 }, (_, i) => `line-${i}`));
    stop.abort();
    expect(await ended).toBe(exit.interrupted);
    log.close();
    expect(fs.readdirSync(dir).length).toBeGreaterThan(1);
  });

  test("a missing log and an invalid id are each reported in one line", async () => {
    expect(await cli.run(["logs"])).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^error: there is no log .*npm start writes it\n$/),
    });
    expect(await cli.run(["logs", "--request", "a'; rm"])).toMatchObject({ status: 2, stdout: "" });
  });
});

test("for a deployed stage it prints the commands that show its logs, one per function", async () => {
  const { stdout } = await cli.run(["logs", "--stage", "production", "--follow", "--request", "r-1"]);
  expect(stdout.trim().split("\n")).toHaveLength(Object.keys(functions).length);
  expect(stdout).toContain(
    `aws logs tail /aws/lambda/ocrlty-production-extract --since 1h --format short --follow --filter-pattern '{ $.request_id = "r-1" || $.extract_id = "r-1" }'\n`,
  );
  const env = { SST_RESOURCE_App: JSON.stringify({ name: "ocrlty", stage: "staging" }) };
  expect((await cli.run(["logs"], { env })).stdout).toContain("/aws/lambda/ocrlty-staging-item --since 1h");
});

describe("artifact", () => {
  const entry = (request_id: string, attempt: number | null) => ({
    ...{ request_id, attempt, kind: "extracts", key_id: "k", date: "2026-11-30", bytes: 1234 },
    artifact_rel: `extracts/2026-11-30/k/${request_id}${attempt === null ? "" : `~attempt-${attempt}`}.json`,
    last_modified: "2026-11-30T09:00:00.000Z",
  });

  test("get prints the content of the signed address, and the key goes only to the API", async () => {
    const bucket = await serve([{ body: { request_id: "a" } }]);
    const api = await serve([{ body: { url: `${bucket.url}/x`, expires_at: "2026-11-30T09:00:00.000Z" } }]);
    const got = await cli.run(["artifact", "get", "a/b", "--attempt", "2", "--url", api.url, "--key", "k"]);
    expect(got).toMatchObject({ status: 0, stdout: '{"request_id":"a"}' });
    expect(api.seen[0]?.path).toBe("/v1/debug/artifacts/a%2Fb?as=url&attempt=2");
    expect([api.seen[0]?.headers.authorization, bucket.seen[0]?.headers.authorization]).toEqual([
      "Bearer k",
      undefined,
    ]);
    const file = await cli.run(["artifact", "get", "a", "--out", "a.json", "--url", api.url, "--key", "k"]);
    expect([file.stdout, cli.read("a.json")]).toEqual(["a.json\n", '{"request_id":"a"}']);
    await Promise.all([api.close(), bucket.close()]);
  });

  test("ls goes through all pages of the extract's day, and shows only its objects", async () => {
    const api = await serve([
      { body: { created_at: "2026-11-30T08:00:00.000Z" } },
      { body: { key_id: "k" } },
      { body: { items: [entry("ab", null), entry("a", null)], next_cursor: "more" } },
      { body: { items: [entry("a", 1)], next_cursor: null } },
    ]);
    const { stdout } = await cli.run(["artifact", "ls", "a", "--url", api.url, "--key", "k"]);
    expect(stdout).toBe(`2026-11-30 09:00       1234  artifact   extracts/2026-11-30/k/a.json
2026-11-30 09:00       1234  attempt 1  extracts/2026-11-30/k/a~attempt-1.json
`);
    expect(api.seen.at(-1)?.path).toContain("cursor=more");
    await api.close();
  });

  test("says that debug routes are off", async () => {
    const off = {
      status: 404,
      body: { error: { code: "not_found", message: "no such route", request_id: "r", details: {} } },
    };
    const api = await serve([off, { body: { ok: true, debug_mode: false } }]);
    const { status, stderr } = await cli.run(["artifact", "get", "a", "--url", api.url, "--key", "k"]);
    expect([status, stderr]).toEqual([2, expect.stringMatching(/^error: .*DEBUG_MODE.*\n$/)]);
    await api.close();
  });

  test("open uses the system's opener; without a screen it prints the file's path", () => {
    const there = () => true;
    expect([
      openerOf("darwin", {}, there),
      openerOf("win32", {}, there),
      openerOf("linux", { DISPLAY: ":0", PATH: "/usr/bin" }, there),
      openerOf("linux", { DISPLAY: ":0", PATH: "/usr/bin" }, () => false),
      openerOf("linux", { PATH: "/usr/bin" }, there),
    ]).toEqual(["open", "explorer.exe", "xdg-open", undefined, undefined]);
  });
});
