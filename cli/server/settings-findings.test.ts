/** Every command reports a wrong setting in the words of `npm start`, and `doctor` reports it as a finding. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exit } from "#cli/terminal/context";
import * as Setting from "#core/setting";
import { type Cli, open } from "#test/support/batch-cli";
import type { Finding } from "./finding.ts";
import { findings } from "./settings-findings.ts";

const { settings, takes } = Setting;
const said = (name: string, schema: Parameters<typeof takes>[0]) =>
  `${name} is not valid: it takes ${takes(schema)}`;
const postgres = { DATABASE_URL: "postgres://user:4711@db/x" };
const database = said("DATABASE_URL", settings.database.DATABASE_URL);

let cli: Cli;
beforeAll(() => {
  cli = open();
  cli.file("README.md", "no database");
});
afterAll(() => cli.remove());

describe("a command that opens by settings", () => {
  const endpoint = { ITEM_QUEUE_URL: "http://127.0.0.1:9/q", AWS_ENDPOINT_URL_SQS: "foo-4711" };
  test.each<[string[], Record<string, string>, string]>([
    ...[
      ["keys", "list-keys"],
      ["keys", "init-db"],
      ["keys", "purge", "a", "--yes"],
      ["migrate"],
      ["webhook", "test", "https://receiver.example/"],
    ].map((args): [string[], Record<string, string>, string] => [args, postgres, database]),
    [
      ["migrate"],
      { DATABASE_URL: "libsql://x.turso.io", DATABASE_AUTH_TOKEN: "a b" },
      said("DATABASE_AUTH_TOKEN", settings.database.DATABASE_AUTH_TOKEN),
    ],
    [["migrate", "--db", "mysql://x"], {}, database.replace("DATABASE_URL", "--db")],
    [
      ["data", "ls"],
      { S3_ENDPOINT_URL: "http://127.0.0.1:9", S3_ACCESS_KEY_ID: "a", S3_SECRET_ACCESS_KEY: "b" },
      `S3_BUCKET is not set: it takes ${takes(settings.bucket.S3_BUCKET)}`,
    ],
    [
      ["data", "ls"],
      { S3_BUCKET: "s3://b", S3_ACCESS_KEY_ID: "a", S3_SECRET_ACCESS_KEY: "b" },
      said("S3_BUCKET", settings.bucket.S3_BUCKET),
    ],
    [["redrive", "item"], endpoint, "AWS_ENDPOINT_URL_SQS is not valid: it takes an address with http://"],
  ])(
    "%j with %j prints one line, with --json the error envelope, and exits with 2",
    async (args, env, line) => {
      const plain = await cli.run(args, { env });
      expect(plain).toMatchObject({ status: exit.failed, stdout: "" });
      expect(plain.stderr).toMatch(/^error: [^\n]*\n$/);
      expect(plain.stderr).toContain(line);
      expect(plain.stderr).not.toContain("4711");
      const json = await cli.run([...args, "--json"], { env });
      expect(JSON.parse(json.stdout).error).toMatchObject({
        code: args.includes("--db") ? "usage" : "settings",
        message: plain.stderr.slice("error: ".length, -1),
      });
    },
  );

  test("a file that is not a database is named, and stays as it is", async () => {
    const { status, stderr } = await cli.run(["keys", "list-keys", "--db", "README.md"]);
    expect(status).toBe(exit.failed);
    expect(stderr).toMatch(/^error: .*README\.md is not an SQLite database: [^\n]*\n$/);
    expect(cli.read("README.md")).toBe("no database");
  });
});

describe("doctor", () => {
  test("reports a wrong database as a finding, and checks the rest", async () => {
    const { status, stdout } = await cli.run(["doctor", "--json"], { env: postgres });
    expect(status).toBe(exit.items);
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    expect(findings).toContainEqual(
      expect.objectContaining({ check: "settings", state: "wrong", found: database }),
    );
    expect(findings).toContainEqual(expect.objectContaining({ check: "database", state: "skipped" }));
  });

  test.each<[Record<string, string>, string, RegExp]>([
    [{ VLLM_API_KEY: "a b" }, "", /^VLLM_API_KEY is not valid/],
    [{ AWS_ENDPOINT_URL_SQS: "foo" }, "", /^AWS_ENDPOINT_URL_SQS is not valid/],
    [{ PORT: "eighty" }, "", /^PORT is not valid/],
    [{ DATA_ROOT: "/nope/4711" }, "", /^DATA_ROOT: there is no folder/],
    [{ DATA_ROOT: "package.json" }, "", /^DATA_ROOT: there is no folder/],
    [{ R2_JURISDICTION: "us" }, "", /^R2_JURISDICTION must be one of default, eu, fedramp$/],
    [{ ALARM_EMAIL: "foo" }, "", /^ALARM_EMAIL is not valid/],
    [{ RESERVED_CONCURRENCY: "extract" }, "", /^RESERVED_CONCURRENCY must be/],
    [{ DATABASE_URL: "mysql" }, "", /^DATABASE_URL is not valid/],
    [{ VLLM_BASEURL: "http://h/v1" }, "VLLM_BASEURL=http://h/v1", /did you mean VLLM_BASE_URL\?$/],
    [{}, "A=1\nVLLM_BASE_URL http://h\n", /^line 2 of \.env sets no variable$/],
  ])("finds %j wrong", (env, text, found) => {
    const all = findings({ OCRLTY_HOME: cli.dir, ...env }, text);
    expect(all.filter(({ state }) => state === "wrong")).toEqual([
      expect.objectContaining({ check: "settings", found: expect.stringMatching(found) }),
    ]);
  });

  test("counts valid settings, and notes keys of a bucket without a bucket's name", () => {
    expect(findings({ OCRLTY_HOME: "" }, "")).toMatchObject([{ found: "none is set" }]);
    expect(findings({ LOG_LEVEL: "warn" }, "")).toMatchObject([{ found: "1 is set, and fits" }]);
    expect(findings({ S3_ACCESS_KEY_ID: "x" }, "")).toMatchObject([
      { state: "ok" },
      { state: "note", found: "S3_ACCESS_KEY_ID has no effect without S3_BUCKET" },
    ]);
  });

  test.each([
    [{ OCRLTY_URL: "ftp://x" }, "server", /the server's address \(from OCRLTY_URL\) must begin/, /--url/],
    [
      { OCRLTY_URL: "http://127.0.0.1:9", OCRLTY_API_KEY: "a b" },
      "server",
      /the API key \(from OCRLTY_API_KEY\) holds/,
      /^correct the key/,
    ],
    [{ OCRLTY_PROFILE: "nope" }, "server", /no profile nope/, /profile list/],
  ])("reports the place of %j and a remedy", async (env, check, found, cure) => {
    const { stdout } = await cli.run(["doctor", "--json"], { env });
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    expect(findings.find((each) => each.check === check)).toMatchObject({
      state: "wrong",
      found: expect.stringMatching(found),
      cure: expect.stringMatching(cure),
    });
    expect(findings.find((each) => each.check === "database")?.cure ?? "").not.toMatch(/^run this under/);
  });
});
