import { describe, expect, test } from "vitest";
import * as Announcement from "#local/announcement";
import { errorOf, type Seen } from "#local/gateway/seen";
import * as LogText from "./log-text.ts";
import * as Terminal from "./terminal.ts";

const at = new Date(2026, 10, 30, 9, 5, 7);
const seen = (more: Partial<Seen> = {}): Seen => ({
  ...{
    method: "GET",
    target: "/v1/me",
    status: 200,
    ms: 12,
    requestId: "req-1",
    error: undefined,
    left: false,
  },
  ...more,
});
const line = (more: Partial<Seen> = {}, look: Partial<Parameters<typeof Terminal.requestLine>[1]> = {}) =>
  Terminal.requestLine(seen(more), { colors: false, level: "INFO", ...look }, at);

describe("a request in the terminal", () => {
  test("is one line: time, method, path, status, milliseconds, request id, and the message of an error", () => {
    expect(line()).toBe("09:05:07 GET  /v1/me 200 12 ms req-1");
    expect(line({ method: "DELETE", status: 404, error: "not_found: no such run" })).toBe(
      "09:05:07 DELETE /v1/me 404 12 ms req-1 not_found: no such run",
    );
    expect(line({ left: true })).toMatch(/req-1 \(the caller did not wait for the answer\)$/);
  });

  test("shows no value of a query, no unknown name, and no key in a path", () => {
    const key = `ocrlty_0123abcd_${"x".repeat(43)}`;
    expect(line({ target: `/v1/extracts/${key}?limit=4711&limit=2&api_key=4711&${key}=1&%1b[2J` })).toBe(
      "09:05:07 GET  /v1/extracts/…?limit&api_key&… 200 12 ms req-1",
    );
    expect(line({ target: `/${"a".repeat(500)}` })?.length).toBeLessThan(170);
  });

  test("contains nothing that controls a terminal, and stays one line", () => {
    const odd = line({
      target: "/\u001b[2Ja\u009bb\nc\u202ed",
      error: "e\u0007\r\nf",
      requestId: "r\u001b]0;x\u0007",
    });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there.
    expect(odd).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/);
  });

  test("has colors only on a terminal, never with NO_COLOR or TERM=dumb", () => {
    const wants = (env: Record<string, string>, isTTY: boolean) => Terminal.wantsColors(env, { isTTY });
    expect([
      wants({}, true),
      wants({}, false),
      wants({ NO_COLOR: "1" }, true),
      wants({ TERM: "dumb" }, true),
    ]).toEqual([true, false, false, false]);
    expect(line({ status: 503 }, { colors: true })).toContain("\u001b[31m503\u001b[0m");
    expect(Terminal.troubleLine("ERROR x y", { colors: true, level: "INFO" })).toBe(
      "\u001b[31mERROR\u001b[0m x y",
    );
  });

  test("is shown according to LOG_LEVEL: WARN from 400, ERROR from 500, SILENT never", () => {
    const shown = (level: Terminal.Level) =>
      [200, 303, 404, 500].filter((status) => line({ status }, { level }) !== undefined);
    expect([shown("DEBUG"), shown("INFO"), shown("WARN"), shown("ERROR"), shown("SILENT")]).toEqual([
      [200, 303, 404, 500],
      [200, 303, 404, 500],
      [404, 500],
      [500],
      [],
    ]);
  });

  test("takes an error from the product's envelope or the gateway's own answer, and from nothing else", () => {
    const of = (status: number, body: string, type = "application/json; charset=utf-8") =>
      errorOf({ status, headers: { "content-type": type }, body: Buffer.from(body) });
    expect(of(400, '{"error":{"code":"invalid_request","message":"limit: too large"}}')).toBe(
      "invalid_request: limit: too large",
    );
    expect(of(413, '{"message":"Request Entity Too Large"}')).toBe("the gateway: Request Entity Too Large");
    expect([of(200, '{"message":"x"}'), of(500, "{", "text/plain"), of(500, "{"), of(404, "[]")]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("what npm start prints", () => {
  const told = {
    ...{ apiKey: "ocrlty_secret", apiKeyPath: "/o c/api-key", home: "/o c", logPath: "/o c/log/ocrlty.log" },
    ...{ env: {}, modelPid: () => 1, url: "http://127.0.0.1:8080" },
    bucket: {
      ...{
        name: "ocrlty",
        url: "http://127.0.0.1:8081",
        awsFile: "/o c/aws-credentials",
        rcloneFile: "/o c/rclone.conf",
      },
    },
  };
  const text = (more: object = {}, platform: NodeJS.Platform = "linux") =>
    Announcement.lines({ ...told, ...more } as never, { DATABASE_URL: "file:x.db" }, { platform }).join("\n");

  test("names data, log, key, model, docs and the bucket with commands to list it, and ends with the address", () => {
    expect(text()).toBe(`data    /o c
log     /o c/log/ocrlty.log   (npm run ocrlty -- logs --follow)
key     local-admin, role admin, in /o c/api-key
model   the stand-in local-ocr, as VLLM_BASE_URL is not set
bucket  ocrlty at http://127.0.0.1:8081, credentials in /o c/aws-credentials
        AWS_SHARED_CREDENTIALS_FILE='/o c/aws-credentials' aws s3 ls s3://ocrlty --recursive --endpoint-url http://127.0.0.1:8081
        rclone --config '/o c/rclone.conf' ls ocrlty:ocrlty
docs    http://127.0.0.1:8080/docs
OCRlty is ready at http://127.0.0.1:8080`);
    expect(text()).not.toContain("ocrlty_secret");
    expect(text({}, "win32")).toContain(`$env:AWS_SHARED_CREDENTIALS_FILE="/o c/aws-credentials"; aws s3 ls`);
  });

  test("names the settings of services that are not the loop's own", () => {
    const own = text({
      bucket: undefined,
      env: { S3_BUCKET: "mine", VLLM_MODEL: "qwen", AUTH_ENABLED: "false" },
      modelPid: () => undefined,
    });
    expect(own).toContain("bucket  mine of S3_BUCKET, yours");
    expect(own).toContain("model   qwen at VLLM_BASE_URL");
    expect(own).toMatch(/AUTH_ENABLED is off/);
  });
});

test("a log line as text can be split at its blanks, and is always one line", () => {
  const fields = {
    time: "T",
    level: "WARN",
    event: "x",
    a: null,
    b: undefined,
    c: "two words\n",
    d: ["e f"],
    g: "plain",
  };
  expect(LogText.of(fields)).toBe('T WARN  x a=null c="two words\\n" d=["e f"] g=plain');
  expect([LogText.parse('{"a":1}'), LogText.parse("    at f (x.ts:1:2)"), LogText.parse("{half")]).toEqual([
    { a: 1 },
    undefined,
    undefined,
  ]);
});
