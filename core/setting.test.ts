import { describe, expect, test } from "vitest";
import * as Config from "#core/config";
import { commandSettings, settings, takes } from "#core/setting";
import { programs, refuseMisspelled, strayLines } from "#local/home/settings";

/** Valid settings of a laptop and of a deployment; each test replaces one of them by a bad value. */
const good: Record<string, string> = {
  VLLM_BASE_URL: "http://127.0.0.1:8001/v1",
  S3_BUCKET: "receipts",
  S3_ACCESS_KEY_ID: "id",
  S3_SECRET_ACCESS_KEY: "secret",
  DATABASE_URL: "libsql://name.turso.io",
  ...Object.fromEntries(Object.keys(settings.queues).map((name) => [name, "https://sqs.example/queue"])),
};

/**
 * Bad values by kind: common mistakes, and values that no setting of that kind accepts. The marker must never appear in
 * a message.
 */
const bad = {
  flag: ["yes", "on", "2", "enabled-4711"],
  number: ["90s", "4711x", "eighty", "1,5", "0x10", "1e2", "-4711", "Infinity", "NaN", "5 %"],
  address: [
    ...["localhost:4711", "4711.example.com/v1", "ftp://4711.example.com", "http://", "https:4711"],
    ...[
      "http://user:4711@example.com",
      "https://example.com/v1?key=4711",
      "http://exa mple.com",
      "//4711/v1",
    ],
  ],
  secret: ["Bearer 4711", '"4711"', "4711\r", "47\u00a011", "schl\u00fcssel-4711"],
  text: ["4711\n", " 4711", "47\u000011"],
  choice: ["verbose", "xml-4711", "WARN,INFO"],
  // The other settings have kinds of their own.
  DATABASE_URL: [
    ...[
      "postgres://user:4711@db/x",
      "mysql://4711",
      "mongodb+srv://4711.example",
      "jdbc:sqlite:4711",
      "libsql:4711",
    ],
    ...["https://", "redis://4711:6379", "libsql://4711.turso.io\n", "mysql4711"],
  ],
  OCRLTY_STAGE: ["pro duction", "a/4711", "../4711"],
  CORS_ALLOW_ORIGINS: ["app.example", "https://app.example/", "https://app.example/4711", "*, foo"],
  IMAGE_URL_HOSTS: [
    "https://4711.example",
    "4711.example/pictures",
    "example.com:4711",
    "203.0.113.5",
    "a b",
  ],
  API_KEY_PEPPER: ["short-4711"],
  WEBHOOK_SECRET: ["whsec_4711", "4711", `whsec_${"A".repeat(44)},`.repeat(3), "whsec-4711"],
  S3_BUCKET: ["s3://4711", "bucket/4711", "https://4711.example", "-4711", "b\u00fccket"],
  S3_REGION: ["us east 4711", "us_east_1"],
  POD_ID: ["../4711", "4711/stop", "x".repeat(65)],
  RUNPOD_API_URL: [
    "http://4711.example.com/v2",
    "http://127.0.0.1.example.com/v2",
    "4711",
    "ftp://127.0.0.1/v2",
  ],
  VAST_API_URL: ["http://4711.example.com", "ws://127.0.0.1"],
  POD_IDS: ["../4711", "a,b 4711", "4711/stop"],
  POD_IDLE_STOP_MINUTES: ["0", "-4711", "15m", "quarter", "1e1", "1.5"],
  POD_MAX_HOURS_PER_DAY: ["0", "-4711", "25", "six", "NaN", "Infinity"],
  POD_MAX_DOLLARS_PER_DAY: ["0", "-4711", "$4711", "7,50", "NaN"],
  POD_KEEP_WARM: [
    ...["8-18 UTC", "08:00-18:00", "08:00-18:00 Mars/4711", "24:00-25:00 UTC", "08:00-08:00 UTC", "always"],
  ],
  CREDENTIALS_EXPIRE: ["soon", "S3_SECRET_ACCESS_KEY=31.12.2026", "SECRET_4711=2027-01-01", "2027-01-01"],
} as const satisfies Record<string, readonly string[]>;

/** The kind of bad values that each setting must refuse; every setting has one. */
function kindOf(name: string): keyof typeof bad {
  if (name in bad) return name as keyof typeof bad;
  if (/^(DEBUG_MODE|AUTH_ENABLED|.*_(OVERWRITE|PRIVATE|STYLE))$/.test(name)) return "flag";
  if (/PORT|_S$|MAX_|DAYS|COST|DEFAULT_|TIME_SCALE|CONCURRENCY/.test(name)) return "number";
  if (/^(VLLM_BASE_URL|S3_ENDPOINT_URL|AWS_ENDPOINT_URL_SQS)$/.test(name)) return "address";
  if (/KEY|SECRET|TOKEN/.test(name)) return "secret";
  if (/^LOG_/.test(name)) return "choice";
  return "text";
}

const all = { ...settings, ...commandSettings, ...programs };
const every = Object.entries(all).flatMap(([section, entries]) =>
  Object.entries(entries).map(([name, schema]) => ({
    section: section as keyof typeof all,
    name,
    schema,
  })),
);

describe("a setting that is refused", () => {
  test.each(every)(
    "$name: one line with its name and what it takes, and nothing of its value",
    ({ section, name, schema }) => {
      for (const value of bad[kindOf(name)]) {
        let message = "";
        try {
          Config.check(all[section], { ...good, [name]: value });
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(Config.ConfigError);
          expect((thrown as Config.ConfigError).variables).toEqual([name]);
          ({ message } = thrown as Error);
        }
        expect(message, `${name}=${JSON.stringify(value)}`).toBe(
          `${name} is not valid: it takes ${takes(schema)}`,
        );
        expect(message).not.toMatch(/4711|\n|something else|undefined/);
      }
    },
  );

  test("says what it takes: choices, bounds, units, forms", () => {
    const of = (name: string) => takes(every.find((one) => one.name === name)?.schema as never);
    expect(of("LOG_LEVEL")).toBe("DEBUG, INFO, WARN, ERROR or SILENT");
    expect(of("LOG_FORMAT")).toBe("json or text");
    expect(of("AUTH_ENABLED")).toBe("1, true, 0 or false");
    expect(of("VLLM_READ_TIMEOUT_S")).toBe("seconds, above 0 and at most 600, as a number without a unit");
    expect(of("VLLM_MAX_MODEL_LEN")).toBe("a whole number from 1,024 to 1,000,000, in digits alone");
    expect(of("DEFAULT_ITEMS_PER_DAY")).toBe("none, or a whole number from 1 in digits alone");
    expect(of("VLLM_BASE_URL")).toContain("http://127.0.0.1:8001/v1");
    expect(of("DATABASE_URL")).toMatch(/libsql:\/\/.*Postgres/);
  });

  test("several are reported in one line, missing ones too", () => {
    const env = { S3_BUCKET: "s3://b", S3_PRESIGN_TTL_S: "4711x", S3_ACCESS_KEY_ID: "id" };
    expect(() => Config.parse("bucket", env)).toThrow(
      /^S3_BUCKET is not valid: it takes .*; S3_PRESIGN_TTL_S is not valid: it takes .*; S3_SECRET_ACCESS_KEY is not set: it takes [^\n]*$/,
    );
  });
});

describe("a setting that is taken", () => {
  test.each([
    ["app", "LOG_LEVEL", "warn", "WARN"],
    ["app", "DEBUG_MODE", "TRUE", true],
    ["app", "DEBUG_MODE", "False", false],
    [
      "app",
      "CORS_ALLOW_ORIGINS",
      "https://*.app.example, http://localhost:3000",
      ["https://*.app.example", "http://localhost:3000"],
    ],
    ["app", "CORS_ALLOW_ORIGINS", "*", ["*"]],
    ["model", "VLLM_BASE_URL", "HTTP://gpu:8001/v1", "HTTP://gpu:8001/v1"],
    ["model", "VLLM_READ_TIMEOUT_S", "0.5", 0.5],
    ["bucket", "S3_PREFIX", "/a/b/", "a/b"],
    ["database", "DATABASE_URL", "C:\\data\\keys.db", "C:\\data\\keys.db"],
    ["database", "DATABASE_URL", "file:keys.db", "file:keys.db"],
    ["database", "DATABASE_URL", "keys.db", "keys.db"],
    ["database", "DATABASE_URL", ":memory:", ":memory:"],
    ["database", "DATABASE_URL", "http://127.0.0.1:8080", "http://127.0.0.1:8080"],
    ["auth", "API_KEY_PEPPER", "a phrase with blanks", "a phrase with blanks"],
    ["newKey", "DEFAULT_ITEMS_PER_DAY", "none", null],
    ["batch", "IMAGE_URL_HOSTS", "*.example.com, *", ["*.example.com", "*"]],
    ["usage", "GPU_COST_PER_HOUR", "0.79", 0.79],
  ] as const)("%s: %s=%s", (section, name, value, taken) => {
    const values: Record<string, unknown> = Config.check(all[section], { ...good, [name]: value });
    expect(values[name]).toEqual(taken);
  });
});

describe("a name that is nearly a setting's", () => {
  test.each([
    ["VLLM_BASEURL", "VLLM_BASE_URL"],
    ["VLLM_BASE_ULR", "VLLM_BASE_URL"],
    ["S3_ENDPOINT_URI", "S3_ENDPOINT_URL"],
    ["LOGLEVEL", "LOG_LEVEL"],
    ["log_level", "LOG_LEVEL"],
    ["DATABASE_URI", "DATABASE_URL"],
    ["OCRLTY_APIKEY", "OCRLTY_API_KEY"],
  ])("%s in .env is refused with the name that was meant, and nothing of its value", (name, meant) => {
    expect(() => refuseMisspelled({ [name]: "4711" }, [name])).toThrow(
      new Config.ConfigError([name], `${name} is not a setting: did you mean ${meant}?`),
    );
  });

  test.each([
    "AWS_ENDPOINT_URL_SNS",
    "DATABASE_URI",
    "LOGLEVEL",
    "POD_IP",
    "PATH",
    "VLLM_USE_V1",
    "VLLM_LOGGING_LEVEL",
  ])("%s of the environment, which may be another program's, is accepted", (name) =>
    refuseMisspelled({ [name]: "4711" }, []),
  );

  test("of this product is refused in the environment, unless the right name is set as well", () => {
    expect(() => refuseMisspelled({ VLLM_BASEURL: "x" }, [])).toThrow("did you mean VLLM_BASE_URL?");
    refuseMisspelled({ VLLM_BASEURL: "x", VLLM_BASE_URL: "y" }, []);
    refuseMisspelled({ VLLM_BASEURL: "" }, []);
  });
});

test("lines of a .env that set nothing are reported by number", () => {
  const text = "# a comment\n\nA=1\nexport B='x\ny z'\nVLLM_BASE_URL http://h\nC: d\nD=\nno value\n";
  expect(strayLines(text)).toEqual([6, 9]);
  expect(strayLines("")).toEqual([]);
});
