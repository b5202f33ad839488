import * as fs from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as Profile from "#cli/server/profile";
import { exit } from "#cli/terminal/context";
import { type Cli, open } from "#test/support/batch-cli";
import { type Scripted, type Seen, serve } from "#test/support/scripted-server";

const key = `ocrlty_0badcafe_${"k".repeat(43)}`;
let cli: Cli;
let closing: (() => Promise<void>)[] = [];
beforeEach(() => {
  cli = open();
});
afterEach(async () => {
  for (const close of closing) await close();
  closing = [];
  cli.remove();
});

async function server(...script: Scripted[]): Promise<{ url: string; seen: Seen[] }> {
  const { url, seen, close } = await serve(script);
  closing.push(close);
  return { url, seen };
}
const keysOf = (seen: readonly Seen[]) => seen.map(({ headers }) => headers.authorization ?? null);
const add = (name: string, url: string, ...more: string[]) =>
  cli.run(["profile", "add", name, "--url", url, "--key", key, ...more]);
const file = () => join(cli.dir, "home", "profiles.json");

describe("profile", () => {
  it("stores a server and its key in a file that only the owner can read, and shows only the key's beginning", async () => {
    const added = await add("prod", "https://api.example.com/v");
    const listed = await cli.run(["profile", "list"]);
    const lines = await cli.run(["profile", "list", "--json"]);
    expect(JSON.parse(lines.stdout)).toEqual({
      name: "prod",
      url: "https://api.example.com/v/",
      key: "ocrlty_0badcafe",
      in_use: false,
    });
    expect(listed.stdout).toMatch(
      /^ +PROFILE +SERVER +KEY\n +prod +https:\/\/api\.example\.com\/v\/ +ocrlty_0badcafe\n$/,
    );
    const said = [added, listed, lines].map(({ stdout, stderr }) => stdout + stderr).join("");
    expect(said).not.toContain("kkkk");
    expect(fs.readFileSync(file(), "utf8")).toContain(key);
    if (process.platform === "win32") return;
    expect(fs.statSync(file()).mode & 0o777).toBe(0o600);
    fs.chmodSync(file(), 0o644);
    expect((await cli.run(["profile", "list"])).stderr).toMatch(/warning: others may read .* \(mode 644\)/);
    await cli.run(["profile", "use", "prod"]);
    expect(fs.statSync(file()).mode & 0o777).toBe(0o600);
  });

  it("takes the key from stdin or from OCRLTY_API_KEY, so that it is in no shell history", async () => {
    const at = ["--url", "http://127.0.0.1:9/"];
    await cli.run(["profile", "add", "a", ...at, "--key", "-"], { stdin: `${key}\n` });
    await cli.run(["profile", "add", "b", ...at], { env: { OCRLTY_API_KEY: "from-env" } });
    expect(JSON.parse(fs.readFileSync(file(), "utf8")).profiles).toEqual({
      a: { url: "http://127.0.0.1:9/", key },
      b: { url: "http://127.0.0.1:9/", key: "from-env" },
    });
    expect((await cli.run(["profile", "add", "c", ...at, "--key", "-"])).stderr).toBe(
      "error: there is no key on stdin\n",
    );
  });

  it.each([
    ["a name with a slash", "a/b", "https://x.example", /^error: a profile's name is 1 to 64 letters/],
    ["the loop's own name", "local", "https://x.example", /^error: local is the name of the local loop/],
    ["a prototype's name", "__proto__", "https://x.example", /^error: a profile's name is/],
    ["no address", "a", "api.example.com", /^error: the server's address must begin with http/],
    ["a password in the address", "a", "https://me:secret@x.example", /^error: the server's address must/],
    ["a name that is taken", "taken", "https://y.example", /^error: there is a profile taken already/],
  ])("%s is refused, and the file stays as it is", async (_, name, url, message) => {
    await add("taken", "https://x.example");
    const before = fs.readFileSync(file(), "utf8");
    const { status, stderr } = await add(name, url);
    expect(status).toBe(exit.failed);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain("secret");
    expect(fs.readFileSync(file(), "utf8")).toBe(before);
  });

  it("an unknown name lists the existing profiles, names of the prototype are no profiles, and a broken file is reported by its name", async () => {
    await add("prod", "https://x.example");
    for (const name of ["staging", "constructor"])
      expect((await cli.run(["whoami", "--profile", name])).stderr).toBe(
        `error: there is no profile ${name}: there is prod\n`,
      );
    expect((await cli.run(["profile", "use", "staging"])).status).toBe(exit.failed);
    fs.writeFileSync(file(), "{");
    expect((await cli.run(["whoami"])).stderr).toContain(`${file()} has no valid profiles`);
  });

  it("the order of precedence: --url and --key, --profile, OCRLTY_URL, the profile in use", async () => {
    const me = { body: { key_id: "k" } };
    const [typed, asked, inEnv, used] = [
      await server(me),
      await server(me),
      await server(me),
      await server(me),
    ];
    await add("asked", asked.url);
    await add("used", used.url);
    await cli.run(["profile", "use", "used"]);
    const env = { OCRLTY_URL: inEnv.url, OCRLTY_API_KEY: "env-key" };
    await cli.run(["whoami", "--url", typed.url], { env });
    await cli.run(["whoami", "--url", typed.url, "--key", "k", "--profile", "asked"], { env });
    expect(keysOf(typed.seen)).toEqual(["Bearer env-key", "Bearer k"]);
    // A profile has its own key, because the key in the environment belongs to another server.
    await cli.run(["whoami", "--profile", "asked"], { env });
    await cli.run(["whoami"], { env: { ...env, OCRLTY_PROFILE: "asked" } });
    expect(keysOf(asked.seen)).toEqual([`Bearer ${key}`, `Bearer ${key}`]);
    await cli.run(["whoami"], { env });
    expect(keysOf(inEnv.seen)).toEqual(["Bearer env-key"]);
    await cli.run(["whoami"]);
    await cli.run(["whoami"], { env: { OCRLTY_API_KEY: "env-key" } });
    expect(keysOf(used.seen)).toEqual([`Bearer ${key}`, "Bearer env-key"]);
    await cli.run(["profile", "remove", "used"]);
    expect(Profile.load({ OCRLTY_HOME: join(cli.dir, "home") })).toMatchObject({ current: null });
  });

  it("without OCRLTY_HOME the file is in the user's own folder of settings", () => {
    const xdg = join(cli.dir, "xdg");
    const at = (env: Record<string, string>) => Profile.fileOf(env);
    if (process.platform === "win32") expect(at({ APPDATA: xdg })).toBe(join(xdg, "ocrlty", "profiles.json"));
    else {
      expect(at({ XDG_CONFIG_HOME: xdg })).toBe(join(xdg, "ocrlty", "profiles.json"));
      // The value in a copy of .env.example.
      expect(at({ XDG_CONFIG_HOME: xdg, OCRLTY_HOME: ".ocrlty" })).toBe(join(xdg, "ocrlty", "profiles.json"));
      expect(at({ HOME: cli.dir })).toBe(join(cli.dir, ".config", "ocrlty", "profiles.json"));
    }
  });
});

describe("a key that is refused", () => {
  const refused = { status: 401, body: { error: { code: "unauthorized", message: "no", details: {} } } };
  const health = { body: { ok: true, version: "1" } };
  const loop = async (...script: Scripted[]) => {
    const { url, seen } = await server(health, ...script);
    cli.file("home/url", `${url}\n`);
    return seen;
  };

  it("is reported with its profile, and keys of other servers are not mentioned", async () => {
    cli.file("home/api-key", "own-key\n");
    const { url } = await server(refused);
    await add("prod", url);
    expect((await cli.run(["whoami", "--profile", "prod"])).stderr).toBe(
      "error: no; the key from profile prod is wrong, revoked or expired (unauthorized)\n",
    );
  });

  it("if there is none, the message says so", async () => {
    const { url } = await server(refused);
    expect((await cli.run(["whoami", "--url", url])).stderr).toBe(
      "error: no: name one with --key, OCRLTY_API_KEY or a profile (unauthorized)\n",
    );
  });

  it("OCRLTY_API_KEY takes precedence over the loop's own key, and the message names the key that fits", async () => {
    cli.file("home/api-key", "own-key\n");
    const seen = await loop(refused, { body: { key_id: "local-admin" } });
    const { status, stderr } = await cli.run(["whoami"], { env: { OCRLTY_API_KEY: "of-another" } });
    expect(status).toBe(exit.failed);
    expect(keysOf(seen)).toEqual([null, "Bearer of-another", "Bearer own-key"]);
    expect(stderr).toContain("the key from OCRLTY_API_KEY is wrong");
    expect(stderr).toContain("api-key fits (local-admin): unset OCRLTY_API_KEY, and it is used\n");
    expect(stderr).not.toMatch(/own-key|of-another/);
  });

  it("for the loop's own key that is no longer valid, the message has the command that makes another", async () => {
    cli.file("home/api-key", "own-key\n");
    await loop(refused);
    expect((await cli.run(["whoami"])).stderr).toMatch(
      /the key from .*api-key is wrong[\s\S]*npm run keys -- create-key makes another\n$/,
    );
  });
});

describe("what is said", () => {
  it("--quiet leaves errors alone on stderr; NO_COLOR and a pipe have no colors", async () => {
    const { url } = await server({ status: 404, body: { error: { code: "not_found", message: "no" } } });
    const { stderr } = await cli.run(["run", "r-1", "--url", url, "--quiet"]);
    expect(stderr).toBe("error: no (not_found)\n");
    await add("prod", "http://x.example");
    expect((await cli.run(["profile", "add", "b", "--url", "http://x.example", "-q"])).stderr).toBe("");
  });
});
