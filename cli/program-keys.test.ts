import { once } from "node:events";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { createClient } from "@libsql/client";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exit } from "#cli/terminal/context";
import { absoluteDatabaseUrl } from "#local/home/home";
import { type Rig, start } from "./program-for-tests.ts";

let rig: Rig;
beforeEach(() => {
  rig = start();
});
afterEach(() => rig.close());

describe("keys", () => {
  const pepper = { API_KEY_PEPPER: "a pepper of at least sixteen" };
  const keys = (verb: string, ...args: string[]) =>
    rig.ocrlty(["keys", verb, ...args, "--db", "my keys.db", "--json"], { env: pepper });
  const created = async (...args: string[]) => JSON.parse((await keys("create-key", ...args)).stdout);

  it("a key is made, listed, rotated and revoked; its secret is shown once and stored nowhere", async () => {
    const path = join(rig.dir, "my keys.db");
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

    const client = createClient({ url: absoluteDatabaseUrl(path, rig.dir) });
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
    const human = (...args: string[]) => rig.ocrlty(["keys", ...args, "--db", "my keys.db"], { env: pepper });
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
      // These limits come from the settings, because no option was given.
      max_in_flight: 8,
      max_stored_bytes: 20e9,
      max_stored_objects: null,
    });
    const settings = { ...pepper, DEFAULT_ITEMS_PER_DAY: "9", DEFAULT_MAX_RUN_ITEMS: "none" };
    const set = ["keys", "create-key", "--key-id", "set", "--role", "client", "--json", "--db", "other.db"];
    expect(JSON.parse((await rig.ocrlty(set, { env: settings })).stdout)).toMatchObject({
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
      await rig.ocrlty(["keys", "create-key", "--key-id", "shop", "--role", "client"]);
      const secret = async (...more: string[]) =>
        (await rig.ocrlty(["keys", "webhook-secret", "shop", ...more])).stdout.trim();
      const first = await secret();
      const second = await secret("--rotate");
      expect(second).not.toBe(first);
      const send = (env: Record<string, string>) =>
        rig.ocrlty(["webhook", "test", url, "--key-id", "shop"], { env });
      expect(await send({})).toMatchObject({
        status: exit.items,
        stdout: expect.stringMatching(/^not delivered: .*url_not_allowed.*needs WEBHOOK_ALLOW_PRIVATE=1\n$/),
      });
      const asJson = await rig.ocrlty(["webhook", "test", url, "--key-id", "shop", "--json"]);
      expect(asJson.status).toBe(exit.items);
      expect(JSON.parse(asJson.stdout).error).toMatchObject({
        code: "not_delivered",
        request_id: null,
        details: { reason: "url_not_allowed", status: null },
      });
      expect(await rig.ocrlty(["webhook", "test", "foo"])).toMatchObject({
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

  it("a purge revokes at once, and removes nothing while instances may still accept the key", async () => {
    await created("--key-id", "leaves", "--role", "client");
    const { status, stdout, stderr } = await keys("purge", "leaves", "--yes");
    expect(status).toBe(exit.items);
    expect(JSON.parse(stdout)).toEqual({ key_id: "leaves", purged: null, runs: 0, extracts: 0 });
    expect(stderr).toMatch(/^nothing was removed yet: it was revoked just now, .* Send the same again/);
    expect(JSON.parse((await keys("list-keys")).stdout)).toMatchObject({ revoked_at: expect.any(String) });
  });

  it("without --db it is the local loop's database, with the folder's pepper", async () => {
    const first = await rig.ocrlty(["keys", "create-key", "--key-id", "a", "--role", "admin", "--json"]);
    expect(first.status).toBe(exit.ok);
    expect(fs.readdirSync(join(rig.dir, "home"))).toEqual(expect.arrayContaining(["ocrlty.db", "pepper"]));
    expect((await rig.ocrlty(["keys", "list-keys"])).stdout).toMatch(/^KEY_ID .*\na .*admin/);
    const other = await rig.ocrlty(["keys", "create-key", "--key-id", "b", "--role", "client"], {
      env: pepper,
    });
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

  it("only init-db and create-key make a missing database", async () => {
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
    expect(fs.readdirSync(rig.dir)).toEqual([]);
  });

  it("keys of a database server are made only with its stage's pepper", async () => {
    const env = { DATABASE_URL: "http://127.0.0.1:9" };
    const { status, stderr } = await rig.ocrlty(["keys", "create-key", "--key-id", "x", "--role", "client"], {
      env,
    });
    expect(status).toBe(exit.failed);
    expect(stderr).toMatch(/^error: .*\n$/);
    expect(fs.existsSync(join(rig.dir, "home", "pepper"))).toBe(false);
  });
});
