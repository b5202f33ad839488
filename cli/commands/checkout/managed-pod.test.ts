import { once } from "node:events";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { run } from "#cli/program";
import { withLinks } from "#cli/server/links";
import { type Context, exit } from "#cli/terminal/context";

let server: http.Server;
let url: string;
let seen: string[];
/** What the server says of its pod; a text is the message of a 409. */
let answer: (n: number) => Record<string, unknown> | string;

const stopped = {
  ...{ state: "stopped", since: "2026-11-20T08:00:00.000Z", reason: "idle", pod_id: "abc", wanted: "auto" },
  ...{ chosen_pod_id: null, waiting_for: "pod", ready_at: "2026-11-20T08:05:10.000Z", retry_at: null },
  ...{ start_asked_at: null, idle_since: null, looked_at: null, rate_per_hour: 0.44, session: null },
  today: { hours: 1.5, dollars: 0.66 },
};
const ready = { ...stopped, state: "ready", reason: null, waiting_for: null, ready_at: null };

beforeEach(async () => {
  seen = [];
  answer = () => stopped;
  server = http.createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      seen.push(`${request.method} ${request.url} ${Buffer.concat(pieces)}`.trim());
      const body = answer(seen.length);
      const error = { code: "conflict", message: body, request_id: "r", details: {} };
      response.writeHead(typeof body === "string" ? 409 : 200, { "content-type": "application/json" });
      response.end(JSON.stringify(typeof body === "string" ? { error } : body));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function pod(args: string[], env: Record<string, string> = {}, onOut?: (text: string) => void) {
  let stdout = "";
  let stderr = "";
  const stop = new AbortController();
  const context: Context = {
    env: withLinks({ OCRLTY_URL: url, OCRLTY_API_KEY: "key-1", OCRLTY_TIME_SCALE: "0.002", ...env }),
    cwd: tmpdir(),
    signal: stop.signal,
    out: (text) => {
      stdout += text;
      onOut?.(stdout);
      if (stdout.split("\n").length > 3) stop.abort();
    },
    say: (line) => {
      stderr += `${line}\n`;
    },
    stdin: async () => Buffer.alloc(0),
  };
  const status = await run(["pod", ...args], context).catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
    return 130;
  });
  return { status, stdout, stderr };
}

const on = { POD_MANAGER: "on" };

describe("pod of a server with a manager", () => {
  test("status is one row", async () => {
    const { status, stdout } = await pod(["status"], on);
    expect(status).toBe(exit.ok);
    expect(stdout.split("\n").map((line) => line.split(/ {2,}/))).toEqual([
      ["POD", "STATE", "WHY", "SINCE (UTC)", "READY ABOUT", "USD/H", "TODAY H", "TODAY USD"],
      ["abc", "stopped", "idle", "2026-11-20 08:00", "2026-11-20 08:05", "0.44", "1.50", "0.66"],
      [""],
    ]);
  });

  test("the verbs are the routes, also where --url names the server", async () => {
    await pod(["start", "--json"], on);
    await pod(["stop", "--url", url]);
    await pod(["use", "xyz-1"]);
    await pod(["use", "--none"]);
    expect(seen).toEqual([
      "POST /v1/admin/pod/start",
      "POST /v1/admin/pod/stop",
      'PUT /v1/admin/pod {"pod_id":"xyz-1"}',
      'PUT /v1/admin/pod {"pod_id":null}',
    ]);
  });

  test("watch has a line for each change, not for each look", async () => {
    answer = (n) => (n < 4 ? stopped : n < 8 ? { ...stopped, state: "loading", reason: null } : ready);
    const { stdout } = await pod(["watch"]);
    expect(stdout.split("\n").map((line) => line.split(/ {2,}/)[1])).toEqual([
      ...["stopped (idle)", "loading", "ready", undefined],
    ]);
    expect(seen.length).toBeGreaterThan(7);
  });

  test("a server without a manager says so", async () => {
    answer = () => "no pod is managed here: POD_MANAGER is off";
    const { status, stderr } = await pod(["use", "xyz"]);
    expect(status).not.toBe(exit.ok);
    expect(stderr).toMatch(/POD_MANAGER is off/);
  });

  test.each([
    ["use", /name a pod's id/],
    ["use ../x", /letters, digits/],
    ["use abc --none", /name a pod's id/],
    ["status --pod abc", /pod use ID/],
    ["start --wait", /pod watch/],
  ])("%s is refused before anybody is asked", async (args, message) => {
    const { status, stderr } = await pod(args.split(" "), on);
    expect(status).not.toBe(exit.ok);
    expect(stderr).toMatch(message);
    expect(seen).toEqual([]);
  });
});
