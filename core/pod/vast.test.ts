import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AppError } from "#core/error";
import { kindOf, type Provider, type Trouble } from "#core/pod/provider";
import * as Vast from "#core/pod/vast";
import * as VastServer from "#test/support/pods/vast-server";

const { apiKey, instanceId: id } = VastServer;
let server: VastServer.VastServer;
let provider: Provider;
beforeEach(async () => {
  server = await VastServer.start();
  provider = Vast.provider({ apiUrl: server.url, apiKey, timeoutMs: 5_000 });
});
afterEach(() => server.close());

async function trouble(call: Promise<unknown>): Promise<{ kind: Trouble; message: string }> {
  const thrown = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof AppError)) throw new Error("no AppError", { cause: thrown });
  expect(`${thrown.message} ${JSON.stringify(thrown.details ?? {})}`).not.toMatch(/127\.0\.0\.1|canary/i);
  return { kind: kindOf(thrown), message: thrown.message };
}

describe("an instance at Vast.ai", () => {
  test("that is stopped is down, and costs what it will cost while it runs", async () => {
    expect(await provider.look(id)).toEqual({
      ...{ state: "down", address: undefined, ratePerHour: 0.35, since: undefined },
    });
    expect(server.seen).toEqual([`GET /api/v0/instances/${id}/`]);
  });

  test("start and stop are one PUT each", async () => {
    await provider.start(id);
    await provider.stop(id);
    expect(server.seen).toEqual([
      `PUT /api/v0/instances/${id}/ running`,
      `PUT /api/v0/instances/${id}/ stopped`,
    ]);
  });

  test("the address comes from the instance, and follows it to another host and port", async () => {
    server.instance = VastServer.running("203.0.113.7", 40_137);
    const first = await provider.look(id);
    expect(first).toMatchObject({ state: "up", address: "http://203.0.113.7:40137/v1" });
    expect(Math.abs(Number(first.since) - (Date.now() - 120_000))).toBeLessThan(5_000);
    server.instance = VastServer.running("203.0.113.9", 51_000);
    expect(await provider.look(id)).toMatchObject({ address: "http://203.0.113.9:51000/v1" });
  });

  test.each([
    [{ actual_status: "scheduling", intended_status: "running" }, "queued"],
    [{ actual_status: "loading", intended_status: "running" }, "starting"],
    [{ actual_status: null, intended_status: "running" }, "starting"],
    [{ actual_status: "rebooting", intended_status: "running" }, "starting"],
    [{ actual_status: "running", intended_status: "running" }, "up"],
    [{ actual_status: "running", intended_status: "stopped" }, "stopping"],
    [{ actual_status: "exited", intended_status: "stopped" }, "down"],
    [{ actual_status: "frozen", intended_status: "frozen" }, "broken"],
    [{ actual_status: "offline", intended_status: "running" }, "unknown"],
    [{ actual_status: "a word of later", intended_status: "running" }, "unknown"],
  ])("%j is %s", async (fields, state) => {
    server.instance = { ...VastServer.stopped(), ...fields };
    expect((await provider.look(id)).state).toBe(state);
  });

  test.each([
    ["no port is mapped", { ports: {} }],
    ["the ports are a list", { ports: [8000] }],
    ["the port is none", { ports: { "8000/tcp": [{ HostPort: "no" }] } }],
    ["the host is none", { public_ipaddr: "user@evil.example/path" }],
  ])("without a usable address, because %s, there is none", async (_why, fields) => {
    server.instance = { ...VastServer.running("203.0.113.7", 40_137), ...fields };
    expect(await provider.look(id)).toMatchObject({ state: "up", address: undefined });
  });

  test.each([[{ dph_total: -1 }], [{ dph_total: "cheap" }], [{ dph_total: null }]])(
    "a price that is none is not used: %j",
    async (fields) => {
      server.instance = { ...VastServer.stopped(), ...fields };
      expect((await provider.look(id)).ratePerHour).toBeUndefined();
    },
  );
});

describe("a refusal of Vast.ai", () => {
  const refused = (error: string, msg = "canary") => ({ success: false, error, msg });
  test.each<[string, VastServer.Answer, Trouble]>([
    ["a wrong key", { status: 401, body: refused("auth_error") }, "key_refused"],
    ["a key that may not", { status: 403, body: refused("auth_error") }, "key_refused"],
    ["no such instance", { status: 404, body: refused("no_such_instance") }, "pod_gone"],
    ["too many calls", { status: 429, body: refused("too_many_requests") }, "slow_down"],
    ["a fault of theirs", { status: 500, body: refused("canary") }, "provider_away"],
    ["something else", { status: 200, body: { canary: 1 } }, "provider_away"],
  ])("%s is told as such, in all verbs, and quotes nothing", async (_what, all, kind) => {
    server.refuse = { all };
    for (const verb of [provider.look, provider.start, provider.stop])
      expect((await trouble(verb(id))).kind).toBe(kind);
  });

  test("a destroyed instance is gone", async () => {
    server.instance = null;
    expect((await trouble(provider.look(id))).kind).toBe("pod_gone");
  });

  test("resources that are not available are no capacity", async () => {
    const body = refused("resources_unavailable", "Required resources are currently unavailable");
    server.refuse = { orders: { status: 400, body } };
    expect(await trouble(provider.start(id))).toMatchObject({ kind: "no_gpu" });
  });

  test("an order that is refused without a reason", async () => {
    server.refuse = { orders: { status: 400, body: refused("invalid_state") } };
    expect((await trouble(provider.start(id))).kind).toBe("order_refused");
  });

  test("an id that could lead the path elsewhere is refused before anybody is asked", async () => {
    expect((await trouble(provider.look("../users"))).kind).toBe("pod_gone");
    expect(server.seen).toEqual([]);
  });
});
