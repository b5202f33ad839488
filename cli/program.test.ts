import { once } from "node:events";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { createClient } from "@libsql/client";
import sharp from "sharp";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Context, exit } from "#cli/terminal/context";
import { absoluteDatabaseUrl } from "#local/home/home";
import { type Scripted, type Seen, serve } from "#test/support/scripted-server";
import { run } from "./program.ts";

let dir: string;
let closing: (() => Promise<void>)[] = [];
beforeEach(() => {
  dir = fs.mkdtempSync(join(tmpdir(), "ocrlty cli "));
});
afterEach(async () => {
  for (const close of closing) await close();
  closing = [];
  fs.rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
});

/** Runs a command line as the program does, in a folder and an environment of its own. */
async function ocrlty(
  args: string[],
  options: { env?: Record<string, string>; stdin?: Buffer; signal?: AbortSignal } = {},
) {
  let stdout = "";
  let stderr = "";
  const context: Context = {
    env: { OCRLTY_HOME: join(dir, "home"), ...options.env },
    cwd: dir,
    signal: options.signal ?? new AbortController().signal,
    out: (text) => {
      stdout += text;
    },
    say: (line) => {
      stderr += `${line}\n`;
    },
    stdin: async () => options.stdin ?? Buffer.alloc(0),
  };
  const status = await run(args, context);
  return { status, stdout, stderr };
}

async function server(...script: Scripted[]): Promise<{ seen: Seen[]; env: Record<string, string> }> {
  const { url, seen, close } = await serve(script);
  closing.push(close);
  return { seen, env: { OCRLTY_URL: url, OCRLTY_API_KEY: "key-1" } };
}

const answer = (id: string) => ({
  request_id: id,
  status: "succeeded",
  result: { total: "1" },
  artifact_rel: `extracts/${id}.json`,
});
const ownError = (status: number, code: string) => ({
  status,
  body: { error: { code, message: "no", request_id: "x", details: {} } },
});
const file = (name: string, bytes: string | Buffer = "picture") => {
  fs.mkdirSync(join(dir, name, ".."), { recursive: true });
  fs.writeFileSync(join(dir, name), bytes);
};
const sent = (seen: Seen | undefined) =>
  JSON.parse(seen?.body ?? "{}") as { image_base64: string; [name: string]: unknown };

describe("extract", () => {
  it("prints the answer of one file as JSON and where its artifact lies on stderr", async () => {
    file("ä b.jpg");
    const { seen, env } = await server({ body: answer("r-1") });
    const { status, stdout, stderr } = await ocrlty(
      ["extract", "ä b.jpg", "--task", "receipt_v1", "--request-id", "r-1"],
      { env },
    );
    expect(status).toBe(exit.ok);
    expect(JSON.parse(stdout)).toEqual(answer("r-1"));
    expect(stderr).toContain("artifact: extracts/r-1.json\n");
    expect(sent(seen[0])).toEqual({
      task_id: "receipt_v1",
      request_id: "r-1",
      image_base64: btoa("picture"),
    });
    expect(seen[0]?.headers.authorization).toBe("Bearer key-1");
  });

  it("prints one line a file for several, goes on after one that failed, and ends with 1", async () => {
    for (const name of ["a.jpg", "b.jpg", "c.jpg"]) file(name);
    const { env } = await server({ body: answer("1") }, ownError(415, "unsupported_media_type"), {
      body: answer("3"),
    });
    const { status, stdout, stderr } = await ocrlty(["extract", "a.jpg", "b.jpg", "missing.jpg", "c.jpg"], {
      env,
    });
    expect(status).toBe(exit.items);
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { file: "a.jpg", ...answer("1") },
      {
        file: "b.jpg",
        error: { code: "unsupported_media_type", message: "no", request_id: "x", details: {} },
      },
      {
        file: "missing.jpg",
        error: { code: "unreadable_file", message: "does not exist", request_id: null, details: {} },
      },
      { file: "c.jpg", ...answer("3") },
    ]);
    expect(stderr).toContain("error: missing.jpg does not exist\n");
  });

  it("stops at a refused key, which the next file would meet as well", async () => {
    for (const name of ["a.jpg", "b.jpg"]) file(name);
    const { seen, env } = await server(ownError(401, "unauthorized"));
    const { status, stdout, stderr } = await ocrlty(["extract", "a.jpg", "b.jpg"], { env });
    expect({ status, stdout, calls: seen.length }).toEqual({ status: exit.failed, stdout: "", calls: 1 });
    expect(stderr).toBe(
      "error: no; the key from OCRLTY_API_KEY is wrong, revoked or expired (unauthorized)\n",
    );
  });

  it("expands patterns that the shell left alone, and takes names that begin with a dash or hold brackets", async () => {
    for (const name of ["p/b.jpg", "p/a.jpg", "p/no.txt", "-dash.jpg", "x[1].jpg"]) file(name, name);
    const { seen, env } = await server({ body: answer("1") });
    const { status } = await ocrlty(["extract", "--", "p/*.jpg", "p/a.jpg", "-dash.jpg", "x[1].jpg"], {
      env,
    });
    expect(status).toBe(exit.ok);
    expect(seen.map((call) => atob(sent(call).image_base64))).toEqual([
      "p/a.jpg",
      "p/b.jpg",
      "-dash.jpg",
      "x[1].jpg",
    ]);
  });

  it("reads stdin for a dash", async () => {
    const { seen, env } = await server({ body: answer("1") });
    await ocrlty(["extract", "-"], { env, stdin: Buffer.from("from a pipe") });
    expect(atob(sent(seen[0]).image_base64)).toBe("from a pipe");
  });

  it("scales a picture over 3.5 MB down, upright, with one line on stderr; a small one is sent as it is", async () => {
    const noise = { type: "gaussian", mean: 128, sigma: 60 } as const;
    const large = await sharp({
      create: { width: 3000, height: 2000, channels: 3, background: "white", noise },
    })
      .withMetadata({ orientation: 6 })
      .jpeg({ quality: 98 })
      .toBuffer();
    expect(large.length).toBeGreaterThan(3.5e6);
    file("large.jpg", large);
    const { seen, env } = await server({ body: answer("1") });
    const { status, stderr } = await ocrlty(["extract", "large.jpg"], { env });
    expect(status).toBe(exit.ok);
    expect(stderr).toMatch(/^large\.jpg: \d+\.\d MB, sent as \d\.\d MB \(\d+×\d+\)\n/);
    const bytes = Buffer.from(sent(seen[0]).image_base64, "base64");
    expect(bytes.length).toBeLessThanOrEqual(3.5e6);
    const { width, height, orientation } = await sharp(bytes).metadata();
    expect(height).toBeGreaterThan(width);
    expect(orientation ?? 1).toBe(1);
  });

  it.each([
    ["a missing file", ["extract", "gone.jpg"], "error: gone.jpg does not exist\n"],
    [
      "a folder",
      ["extract", "."],
      'error: . is a folder: npm run ocrlty -- batch FOLDER reads all of it, "folder/*.jpg" some\n',
    ],
    ["an empty file", ["extract", "empty.jpg"], "error: empty.jpg is empty\n"],
    ["a pattern without a match", ["extract", "*.webp"], "error: no file matches *.webp\n"],
    ["no file", ["extract"], "error: missing required argument 'file'\n"],
    ["an unknown option", ["extract", "--wrong", "x"], "error: unknown option '--wrong'\n"],
    [
      "one id for several files",
      ["extract", "--request-id", "x", "full.jpg", "gone.jpg"],
      "error: --request-id goes with one file\n",
    ],
  ])("%s is one line and exit status 2, and nothing is started", async (_, args, message) => {
    file("empty.jpg", "");
    file("full.jpg");
    expect(await ocrlty(args)).toEqual({ status: exit.failed, stdout: "", stderr: message });
    expect(fs.existsSync(join(dir, "home", "lock.db"))).toBe(false);
  });

  it("a large file that is no picture fails alone", async () => {
    file("large.bin", Buffer.alloc(4_000_000, "x"));
    const { seen, env } = await server({ body: answer("1") });
    const { status, stderr } = await ocrlty(["extract", "large.bin"], { env });
    expect({ status, calls: seen.length }).toEqual({ status: exit.items, calls: 0 });
    expect(stderr).toBe("error: large.bin has 4.0 MB and is no picture that can be made smaller\n");
  });

  it("the folder's own key is never sent to a server that was named", async () => {
    file("a.jpg");
    file("home/api-key", "secret-of-the-folder\n");
    const { seen, env } = await server(ownError(401, "unauthorized"));
    const { status } = await ocrlty(["extract", "a.jpg"], { env: { OCRLTY_URL: env.OCRLTY_URL ?? "" } });
    expect(status).toBe(exit.failed);
    expect(JSON.stringify(seen)).not.toContain("secret-of-the-folder");
  });

  it("uses the loop that answers in the folder, with the folder's key", async () => {
    file("a.jpg");
    const { seen, env } = await server({ body: { ok: true, version: "1" } }, { body: answer("1") });
    file("home/api-key", "secret-of-the-folder\n");
    file("home/url", `${env.OCRLTY_URL}\n`);
    expect((await ocrlty(["extract", "a.jpg"])).status).toBe(exit.ok);
    expect(seen.map(({ path, headers }) => [path, headers.authorization])).toEqual([
      ["/health", undefined],
      ["/v1/extract", "Bearer secret-of-the-folder"],
    ]);
  });

  it("Ctrl-C ends a call that hangs with 130", async () => {
    file("a.jpg");
    const abort = new AbortController();
    const { env } = await server({ handle: () => abort.abort() });
    expect((await ocrlty(["extract", "a.jpg"], { env, signal: abort.signal })).status).toBe(exit.interrupted);
  });

  it("--get prints what is stored; an id that is not there is 1", async () => {
    const { seen, env } = await server({ body: answer("r-1") }, ownError(404, "not_found"));
    expect(JSON.parse((await ocrlty(["extract", "--get", "r-1"], { env })).stdout)).toEqual(answer("r-1"));
    expect(await ocrlty(["extract", "--get", "a/b"], { env })).toMatchObject({
      status: exit.items,
      stderr: "error: a/b: no (not_found)\n",
    });
    expect(seen.map(({ path }) => path)).toEqual(["/v1/extracts/r-1", "/v1/extracts/a%2Fb"]);
  });
});

describe("keys", () => {
  const pepper = { API_KEY_PEPPER: "a pepper of at least sixteen" };
  const keys = (verb: string, ...args: string[]) =>
    ocrlty(["keys", verb, ...args, "--db", "my keys.db", "--json"], { env: pepper });
  const created = async (...args: string[]) => JSON.parse((await keys("create-key", ...args)).stdout);

  it("a key is made, listed, rotated and revoked; its secret is shown once and stored nowhere", async () => {
    const path = join(dir, "my keys.db");
    expect(JSON.parse((await keys("init-db")).stdout)).toEqual({ ok: true, database: path });
    const key = await created("--key-id", "client-1", "--role", "client", "--expires", "90d");
    expect(key).toMatchObject({
      key_id: "client-1",
      role: "client",
      scopes: ["extract:run"],
      revoked_at: null,
    });
    expect(key.api_key).toMatch(/^ocrlty_[0-9a-f]{8}_[\w-]{43}$/);
    expect(Date.parse(key.expires_at) - Date.now()).toBeCloseTo(90 * 86_400_000, -5);

    const { api_key, ...info } = key;
    expect((await keys("list-keys")).stdout).toBe(`${JSON.stringify(info)}\n`);
    const rotated = JSON.parse((await keys("rotate-key", "--key-id", "client-1", "--overlap", "24h")).stdout);
    expect(rotated.api_key).not.toBe(api_key);
    expect(rotated.starts).toHaveLength(2);
    const revoked = JSON.parse((await keys("revoke-key", "--key-id", "client-1")).stdout);
    expect(revoked.revoked_at).toMatch(/Z$/);
    expect(revoked).not.toHaveProperty("api_key");

    const client = createClient({ url: absoluteDatabaseUrl(path, dir) });
    const dump: unknown[] = [];
    for (const table of ["key", "key_secret", "setting"])
      dump.push((await client.execute(`SELECT * FROM "${table}"`)).rows);
    client.close();
    expect(JSON.stringify(dump)).toContain("client-1");
    for (const secret of [api_key, rotated.api_key, pepper.API_KEY_PEPPER])
      expect(JSON.stringify(dump)).not.toContain(secret);
  });

  it("scopes are taken as a list or as JSON", async () => {
    const expected = { scopes: ["extract:run", "debug:run"] };
    expect(
      await created("--key-id", "a", "--role", "client", "--scopes", "extract:run, debug:run"),
    ).toMatchObject(expected);
    expect(
      await created("--key-id", "b", "--role", "client", "--scopes", '["extract:run","debug:run"]'),
    ).toMatchObject(expected);
  });

  it("limits are set with the key, changed, removed one by one, and listed where there are some", async () => {
    const none = [
      "requests-per-minute",
      "items-per-day",
      "max-run-items",
      "max-in-flight",
      "max-stored-bytes",
    ];
    await created("--key-id", "free", "--role", "client", ...none.flatMap((name) => [`--${name}`, "none"]));
    const human = (...args: string[]) => ocrlty(["keys", ...args, "--db", "my keys.db"], { env: pepper });
    expect((await human("list-keys")).stdout).not.toContain("LIMITS");
    expect(
      await created(
        ...["--key-id", "guest", "--role", "client", "--requests-per-minute", "60", "--items-per-day", "500"],
        ...["--model-seconds-per-day", "3600", "--max-run-items", "100"],
      ),
    ).toMatchObject({
      requests_per_minute: 60,
      items_per_day: 500,
      model_seconds_per_day: 3600,
      max_run_items: 100,
      // By the settings, as nothing else was said.
      max_in_flight: 8,
      max_stored_bytes: 20e9,
      max_stored_objects: null,
    });
    const settings = { ...pepper, DEFAULT_ITEMS_PER_DAY: "9", DEFAULT_MAX_RUN_ITEMS: "none" };
    const set = ["keys", "create-key", "--key-id", "set", "--role", "client", "--json", "--db", "other.db"];
    expect(JSON.parse((await ocrlty(set, { env: settings })).stdout)).toMatchObject({
      ...{ requests_per_minute: 60, items_per_day: 9, max_run_items: null },
    });
    const update = (...args: string[]) => keys("update-key", "--key-id", "guest", ...args);
    const updated = await update("--items-per-day", "7", "--requests-per-minute", "none");
    expect(JSON.parse(updated.stdout)).toMatchObject({
      requests_per_minute: null,
      items_per_day: 7,
      model_seconds_per_day: 3600,
      max_run_items: 100,
    });
    const lines = (await human("list-keys")).stdout.split("\n");
    expect(lines[0]).toMatch(/LIMITS$/);
    expect(lines[1]).toMatch(/^free .* -$/);
    expect(lines[2]).toMatch(
      /^guest .* 7 items\/day, 3600 model s\/day, 100 items\/run, 8 in flight, 20000000000 bytes$/,
    );
    expect((await human("update-key", "--key-id", "guest", "--max-run-items", "none")).stdout).toMatch(
      /^items_per_day +7\n/m,
    );
  });

  it("a key's webhook secret is printed alone; a rotation signs with both for the overlap; a test event is signed", async () => {
    const received: { headers: Record<string, string>; body: string }[] = [];
    const receiver = http.createServer(async (request, response) => {
      received.push({ headers: request.headers as Record<string, string>, body: await text(request) });
      response.writeHead(received.length === 1 ? 204 : 500).end();
    });
    receiver.listen(0, "127.0.0.1");
    await once(receiver, "listening");
    try {
      const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
      await ocrlty(["keys", "create-key", "--key-id", "shop", "--role", "client"]);
      const secret = async (...more: string[]) =>
        (await ocrlty(["keys", "webhook-secret", "shop", ...more])).stdout.trim();
      const first = await secret();
      const second = await secret("--rotate");
      expect(second).not.toBe(first);
      const send = (env: Record<string, string>) =>
        ocrlty(["webhook", "test", url, "--key-id", "shop"], { env });
      expect(await send({})).toMatchObject({
        status: exit.items,
        stdout: expect.stringMatching(/^not delivered: .*url_not_allowed.*needs WEBHOOK_ALLOW_PRIVATE=1\n$/),
      });
      const asJson = await ocrlty(["webhook", "test", url, "--key-id", "shop", "--json"]);
      expect(asJson.status).toBe(exit.items);
      expect(JSON.parse(asJson.stdout).error).toMatchObject({
        code: "not_delivered",
        request_id: null,
        details: { reason: "url_not_allowed", status: null },
      });
      expect(await ocrlty(["webhook", "test", "foo"])).toMatchObject({
        status: exit.failed,
        stderr: expect.stringMatching(/^error: the receiver's address must begin with https:/),
      });
      expect(await send({ WEBHOOK_ALLOW_PRIVATE: "1" })).toMatchObject({
        status: exit.ok,
        stdout: expect.stringMatching(/^delivered: status 204 in \d+ ms\n$/),
      });
      expect((await send({ WEBHOOK_ALLOW_PRIVATE: "1" })).status).toBe(exit.items);
      const [call] = received;
      for (const each of [first, second])
        expect(new Webhook(each).verify(call?.body ?? "", call?.headers ?? {})).toMatchObject({
          type: "webhook.test",
          data: { key_id: "shop" },
        });
    } finally {
      receiver.closeAllConnections();
      receiver.close();
    }
  });

  it("a purge revokes at once, and removes nothing while the key may still be taken", async () => {
    await created("--key-id", "leaves", "--role", "client");
    const { status, stdout, stderr } = await keys("purge", "leaves", "--yes");
    expect(status).toBe(exit.items);
    expect(JSON.parse(stdout)).toEqual({ key_id: "leaves", purged: null, runs: 0, extracts: 0 });
    expect(stderr).toMatch(/^nothing was removed yet: it was revoked just now, .* Send the same again/);
    expect(JSON.parse((await keys("list-keys")).stdout)).toMatchObject({ revoked_at: expect.any(String) });
  });

  it("without --db it is the local loop's database, with the folder's pepper", async () => {
    const first = await ocrlty(["keys", "create-key", "--key-id", "a", "--role", "admin", "--json"]);
    expect(first.status).toBe(exit.ok);
    expect(fs.readdirSync(join(dir, "home"))).toEqual(expect.arrayContaining(["ocrlty.db", "pepper"]));
    expect((await ocrlty(["keys", "list-keys"])).stdout).toMatch(/^KEY_ID .*\na .*admin/);
    const other = await ocrlty(["keys", "create-key", "--key-id", "b", "--role", "client"], { env: pepper });
    expect(other).toMatchObject({ status: exit.failed, stdout: "" });
    expect(other.stderr).toMatch(/^error: API_KEY_PEPPER is not the one .*\n$/);
  });

  it.each([
    ["a key that exists", ["create-key", "--key-id", "here", "--role", "client"], /exists already/],
    ["an unknown key", ["revoke-key", "--key-id", "nobody"], /no key with this id/],
    ["a bad id", ["create-key", "--key-id", "Not Good", "--role", "client"], /lower-case/],
    [
      "an unknown role",
      ["create-key", "--key-id", "x", "--role", "boss"],
      /Allowed choices are client, debugger, admin/,
    ],
    [
      "an unknown scope",
      ["create-key", "--key-id", "x", "--role", "client", "--scopes", "everything"],
      /scopes/,
    ],
    ["no role", ["create-key", "--key-id", "x"], /--role/],
    [
      "a duration that is none",
      ["rotate-key", "--key-id", "here", "--overlap", "soon"],
      /--overlap must be a duration/,
    ],
    ...["0", "-1", "1.5", "many", "1e3"].map((text): [string, string[], RegExp] => [
      `a limit of ${text}`,
      ["create-key", "--key-id", "x", "--role", "client", `--items-per-day=${text}`],
      /--items-per-day must be a whole number above 0, or none/,
    ]),
    ["a purge without --yes", ["purge", "here"], /add --yes/],
    ["an update without a limit", ["update-key", "--key-id", "here"], /nothing to change/],
    ["an update of no key", ["update-key", "--key-id", "no", "--max-run-items", "1"], /no key with this id/],
    [
      "a day in the past",
      ["create-key", "--key-id", "x", "--role", "client", "--expires", "2020-01-01"],
      /in the past/,
    ],
  ])("%s is one line and exit status 2", async (_, args, message) => {
    await created("--key-id", "here", "--role", "client");
    const [verb = "", ...rest] = args;
    const { status, stdout, stderr } = await keys(verb, ...rest);
    expect(status).toBe(exit.failed);
    expect(stderr).toMatch(/^error: .*\n$/);
    expect(JSON.parse(stdout).error.message).toBe(stderr.slice("error: ".length, -1));
    expect(stderr).toMatch(message);
  });

  it("a database that is not there is made by init-db and create-key alone", async () => {
    for (const verb of [
      ["list-keys"],
      ["revoke-key", "--key-id", "x"],
      ["rotate-key", "--key-id", "x"],
      ["update-key", "--key-id", "x", "--items-per-day", "1"],
    ] as const) {
      expect((await keys(...(verb as readonly [string, ...string[]]))).stderr).toMatch(
        /there is no database .*init-db/,
      );
    }
    expect(fs.readdirSync(dir)).toEqual([]);
  });

  it("a database server's keys are made with its stage's pepper only", async () => {
    const env = { DATABASE_URL: "http://127.0.0.1:9" };
    const { status, stderr } = await ocrlty(["keys", "create-key", "--key-id", "x", "--role", "client"], {
      env,
    });
    expect(status).toBe(exit.failed);
    expect(stderr).toMatch(/^error: .*\n$/);
    expect(fs.existsSync(join(dir, "home", "pepper"))).toBe(false);
  });
});

describe("the program", () => {
  it("help is an answer: stdout, exit status 0", async () => {
    for (const args of [
      ["--help"],
      ["extract", "--help"],
      ["keys", "create-key", "--help"],
      ["smoke", "--help"],
    ]) {
      const { status, stdout, stderr } = await ocrlty(args);
      expect({ status, stderr }).toEqual({ status: exit.ok, stderr: "" });
      expect(stdout).toMatch(/^Usage: ocrlty/);
    }
  });

  it("an unknown command is exit status 2", async () => {
    expect(await ocrlty(["nonsense"])).toMatchObject({ status: exit.failed, stdout: "" });
  });
});
