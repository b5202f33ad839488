import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import * as Config from "#core/config";
import { AppError } from "#core/error";
import type { Fields, Log } from "#core/log";
import { isPublic } from "#core/remote/address";
import type { World } from "#core/remote/resolve";
import * as Webhook from "#core/webhook/webhook";

const lines: Fields[] = [];
const write = (_event: string, fields: Fields = {}) => void lines.push(fields);
const log: Log = { info: write, warn: write, error: write, child: () => log };

beforeEach(() => {
  vi.stubEnv("WEBHOOK_SECRET", `whsec_${Buffer.alloc(24, 7).toString("base64")}`);
  Config.reset();
  lines.length = 0;
});
afterEach(() => {
  vi.unstubAllEnvs();
  Config.reset();
});

const names: Record<string, string[]> = {
  "receiver.example": ["93.184.216.34"],
  "inside.example": ["10.0.0.7"],
  "half-inside.example": ["93.184.216.34", "169.254.169.254"],
};
const world: World = {
  lookup: async (name) => {
    const found = names[name];
    if (found === undefined) throw new Error(`getaddrinfo ENOTFOUND ${name}`);
    return found.map((address) => ({ address, family: 4 }));
  },
  allows: isPublic,
  allowsPort: () => false,
};

async function refusal(work: Promise<void>): Promise<AppError> {
  const thrown: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof AppError) return thrown;
  throw new Error("it was not refused");
}

describe("a webhook_url", () => {
  const inWorld = (url: string, timeoutMs = 1_000) =>
    Webhook.checkIn(url, log, { world, protocols: ["https:"], timeoutMs });

  test("of a public host is taken", async () => {
    await expect(inWorld("https://receiver.example/hooks?a=b")).resolves.toBeUndefined();
    await expect(inWorld("https://receiver.example:443/")).resolves.toBeUndefined();
  });

  test.each([
    ["http://receiver.example/", "url_not_allowed"],
    ["https://receiver.example:8443/", "url_not_allowed"],
    ["https://user:canary@receiver.example/", "url_not_allowed"],
    ["https://localhost/", "url_not_allowed"],
    ["ftp://receiver.example/", "url_not_allowed"],
    ["https://127.0.0.1/", "address_not_allowed"],
    ["https://0x7f000001/", "address_not_allowed"],
    ["https://[::1]/", "address_not_allowed"],
    ["https://[::ffff:10.0.0.1]/", "address_not_allowed"],
    ["https://169.254.169.254/latest", "address_not_allowed"],
    ["https://inside.example/", "address_not_allowed"],
    ["https://half-inside.example/", "address_not_allowed"],
    ["https://unknown.example/", "url_unreachable"],
    ["receiver.example", "url_invalid"],
    ["", "url_invalid"],
  ])("%j is refused as %s, by its field and without an echo", async (url, reason) => {
    const error = await refusal(inWorld(url));
    expect(error.code).toBe("invalid_request");
    expect(error.details).toMatchObject({ reason, issues: [{ path: "webhook_url" }] });
    expect(lines).toEqual([{ reason }]);
    expect(JSON.stringify([error.message, error.details, error.cause, lines])).not.toMatch(
      /example|127|169\.|latest|canary/,
    );
  });

  test("of a name whose resolver is silent is refused in time", async () => {
    const silent = { ...world, lookup: () => new Promise<never>(() => undefined) };
    const error = await refusal(
      Webhook.checkIn("https://receiver.example/", log, {
        world: silent,
        protocols: ["https:"],
        timeoutMs: 20,
      }),
    );
    expect(error.details?.reason).toBe("url_unreachable");
  });

  test("is refused without a secret to sign with", async () => {
    vi.stubEnv("WEBHOOK_SECRET", "");
    Config.reset();
    const error = await refusal(Webhook.check("https://93.184.216.34/", log, Date.now() + 1_000));
    expect(error.details).toMatchObject({ reason: "webhooks_off", issues: [{ path: "webhook_url" }] });
  });

  test("may be on this machine only where that is switched on, which a deployed stage refuses", async () => {
    const url = "http://127.0.0.1:9/";
    const error = await refusal(Webhook.check(url, log, Date.now() + 1_000));
    expect(error.details?.reason).toBe("url_not_allowed");
    vi.stubEnv("WEBHOOK_ALLOW_PRIVATE", "1");
    Config.reset();
    await expect(Webhook.check(url, log, Date.now() + 1_000)).resolves.toBeUndefined();
    vi.stubEnv("OCRLTY_STAGE", "production");
    Config.reset();
    await expect(Webhook.check(url, log, Date.now() + 1_000)).rejects.toThrow(
      "WEBHOOK_ALLOW_PRIVATE=1 is refused on a deployed stage",
    );
  });
});

test("an invalid secret is reported by its variable, never by its value", () => {
  for (const wrong of ["hello", "whsec_", "whsec_short", `whsec_${"a".repeat(200)}`, "whsec_a b"]) {
    vi.stubEnv("WEBHOOK_SECRET", wrong);
    Config.reset();
    expect(() => Config.webhook()).toThrow(/^WEBHOOK_SECRET is not valid: it takes whsec_ /);
  }
});
