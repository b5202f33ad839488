import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, expect, it } from "vitest";
import * as Config from "#core/config";
import { absoluteDatabaseUrl, databaseUrl, HomeError, home, packageRoot } from "./home.ts";

let dir: string;
beforeEach(() => {
  dir = fs.mkdtempSync(join(tmpdir(), "ocrlty home "));
});
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }));

it("a relative OCRLTY_HOME is relative to the package", () => {
  const relative = join("node_modules", `.home-${process.pid}`);
  try {
    expect(home({ OCRLTY_HOME: relative }).dir).toBe(join(packageRoot, relative));
  } finally {
    fs.rmSync(join(packageRoot, relative), { recursive: true, force: true });
  }
});

it.runIf(process.platform === "linux")("a folder that cannot be made is reported at once", () => {
  expect(() => home({ OCRLTY_HOME: "/proc/ocrlty/home" })).toThrow(/^OCRLTY_HOME: cannot make the folder/);
});

it("processes that start together get the same pepper", async () => {
  const program = `
    import { home } from ${JSON.stringify(pathToFileURL(join(packageRoot, "local/home/home.ts")).href)};
    console.log(home({ OCRLTY_HOME: ${JSON.stringify(dir)} }).pepper());`;
  const outputs = await Promise.all(
    [1, 2, 3, 4].map(
      () =>
        new Promise<string>((done) => {
          let output = "";
          const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
            stdio: ["ignore", "pipe", "inherit"],
          });
          child.stdout.on("data", (chunk) => {
            output += chunk;
          });
          child.once("close", () => done(output.trim()));
        }),
    ),
  );
  expect(outputs[0]).toMatch(/^[\w-]{43}$/);
  expect(new Set(outputs).size).toBe(1);
  expect(fs.readdirSync(dir)).toEqual(["pepper"]);
});

it("API_KEY_PEPPER takes precedence, and no file is written then", () => {
  expect(home({ OCRLTY_HOME: dir, API_KEY_PEPPER: "given" }).pepper()).toBe("given");
  expect(fs.readdirSync(dir)).toEqual([]);
});

it("an empty pepper file is refused: another pepper would make every key worthless", () => {
  fs.writeFileSync(join(dir, "pepper"), "");
  expect(() => home({ OCRLTY_HOME: dir }).pepper()).toThrow(HomeError);
  expect(fs.readdirSync(dir)).toEqual(["pepper"]);
});

it("the webhooks' secret is made once, in a form that the scheme's own library takes", () => {
  const secret = home({ OCRLTY_HOME: dir }).webhookSecret();
  expect(() => new Webhook(secret).sign("msg_1", new Date(), "{}")).not.toThrow();
  expect(Config.parse("webhook", { WEBHOOK_SECRET: secret }).WEBHOOK_SECRET).toEqual([secret]);
  expect(home({ OCRLTY_HOME: dir }).webhookSecret()).toBe(secret);
  expect(fs.readFileSync(join(dir, "webhook-secret"), "utf8").trim()).toBe(secret);
  expect(home({ OCRLTY_HOME: dir, WEBHOOK_SECRET: "given" }).webhookSecret()).toBe("given");
});

it("the data root is DATA_ROOT, relative to the package, else a folder of the home", () => {
  expect(home({ OCRLTY_HOME: dir }).dataRoot).toBe(join(dir, "data", "shared"));
  expect(home({ OCRLTY_HOME: dir, DATA_ROOT: "samples" }).dataRoot).toBe(join(packageRoot, "samples"));
  expect(home({ OCRLTY_HOME: dir, DATA_ROOT: dir }).dataRoot).toBe(dir);
});

it.skipIf(process.platform === "win32")("secrets are readable by their owner alone", () => {
  const folder = home({ OCRLTY_HOME: join(dir, "new") });
  folder.pepper();
  folder.webhookSecret();
  folder.write("api-key", "secret");
  folder.write("api-key", "another");
  expect(folder.apiKey()).toBe("another");
  for (const name of ["pepper", "api-key", "webhook-secret"])
    expect(fs.statSync(folder.file(name)).mode & 0o777).toBe(0o600);
  expect(fs.statSync(folder.dir).mode & 0o777).toBe(0o700);
});

it("a folder that cannot be made is reported in one line", () => {
  fs.writeFileSync(join(dir, "file"), "");
  expect(() => home({ OCRLTY_HOME: join(dir, "file", "below") })).toThrow(
    /^OCRLTY_HOME: cannot make the folder .*\(ENOTDIR\)$|EEXIST/,
  );
});

it("paths become URLs that lead back to them, with blanks and letters of every kind", () => {
  for (const name of ["a b.db", "ü#?%.db"]) {
    expect(fileURLToPath(absoluteDatabaseUrl(name, dir))).toBe(join(dir, name));
    expect(fileURLToPath(absoluteDatabaseUrl(`file:${name}`, dir))).toBe(join(dir, name));
  }
  expect(absoluteDatabaseUrl("libsql://db.example", dir)).toBe("libsql://db.example");
});

it("the database is DATABASE_URL, else AUTH_DB_PATH, both relative to the package, else the folder's", () => {
  expect(databaseUrl({ DATABASE_URL: "file:x.db" })).toBe(pathToFileURL(join(packageRoot, "x.db")).href);
  expect(databaseUrl({ AUTH_DB_PATH: "x.db" })).toBe(pathToFileURL(join(packageRoot, "x.db")).href);
  expect(databaseUrl({ OCRLTY_HOME: dir })).toBe(pathToFileURL(join(dir, "ocrlty.db")).href);
});
