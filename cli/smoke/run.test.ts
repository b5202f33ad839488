import { afterEach, describe, expect, it } from "vitest";
import * as Client from "#cli/server/client";
import * as Routes from "#spec/routes";
import { type Scripted, serve } from "#test/support/scripted-server";
import type { Case } from "./case.ts";
import { cases } from "./cases.ts";
import { cases as unguarded } from "./model-server.ts";
import { run } from "./run.ts";

let close = async () => {};
afterEach(() => close());

const health = { body: { ok: true, auth_enabled: true, debug_mode: false } };
const item = (changes: Partial<Case>): Case => ({
  name: "a call",
  route: "GET /v1/me",
  request: () => ({ path: "/v1/me" }),
  wants: { status: 200 },
  ...changes,
});

async function outcomes(list: Case[], ...answers: Scripted[]) {
  const server = await serve([health, ...answers]);
  close = server.close;
  const result = await run(Client.target(server.url, "key-1"), list, {
    picture: Buffer.from("x"),
    signal: new AbortController().signal,
    onOutcome: () => {},
  });
  return { seen: server.seen.slice(1), outcomes: result.map(({ outcome, why }) => [outcome, why]) };
}

it("every route of the table is called by a case", () => {
  const called = new Set<string>(cases.map(({ route }) => route));
  const missing = Routes.routes
    .map(({ method, path }) => `${method} ${path}`)
    .filter((route) => !called.has(route));
  expect(missing).toEqual([]);
});

it("names are unique: together with the route, a row of the table identifies a call", () => {
  const names = cases.map(({ name, route }) => `${route} ${name}`);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});

const error = { code: "not_found", message: "no such thing", request_id: "id-1", details: {} };

describe("a case", () => {
  it.each<[string, Case["wants"], Scripted, (string | null)[]]>([
    [
      "passes when all is as it should be",
      { status: 200, headers: { "x-a": /^1$/, "x-b": null } },
      { headers: { "x-a": "1" } },
      ["ok", null],
    ],
    [
      "fails on another status, with the server's reason",
      { status: 200 },
      { status: 404, body: { error } },
      ["failed", "wanted 200: no such thing (not_found)"],
    ],
    [
      "fails on another code",
      { status: 404, code: "conflict" },
      { status: 404, headers: { "x-request-id": "id-1" }, body: { error } },
      ["failed", "wanted the code conflict, got not_found"],
    ],
    [
      "fails on another shape of error",
      { status: 404, code: "not_found" },
      { status: 404, body: { message: "Not Found" } },
      ["failed", "the error does not have the shape of the contract"],
    ],
    [
      "fails when header and body name different ids",
      { status: 404, code: "not_found" },
      { status: 404, headers: { "x-request-id": "id-2" }, body: { error } },
      ["failed", "X-Request-ID differs from the body's"],
    ],
    [
      "fails on a header that should be missing",
      { status: 200, headers: { "x-a": null } },
      { headers: { "x-a": "1" } },
      ["failed", "the header x-a is 1"],
    ],
    ["fails on what it looks at itself", { status: 200, also: () => "too blue" }, {}, ["failed", "too blue"]],
    [
      "fails when nobody answers",
      { status: 200 },
      { handle: (request) => request.socket.destroy() },
      ["failed", expect.stringContaining("the connection was lost") as unknown as string],
    ],
  ])("%s", async (_, wants, answer, expected) => {
    expect((await outcomes([item({ wants })], answer)).outcomes).toEqual([expected]);
  });

  it("is skipped with its reason, and sends the key, another one or none", async () => {
    const { seen, outcomes: list } = await outcomes([
      item({ skip: () => "not here" }),
      item({}),
      item({ as: "nobody" }),
      item({ as: "other" }),
    ]);
    expect(list[0]).toEqual(["skipped", "not here"]);
    expect(seen.map(({ headers }) => headers.authorization)).toEqual([
      "Bearer key-1",
      undefined,
      "Bearer other",
    ]);
  });
});

describe("the model server's unguarded paths", () => {
  const about = async (answers: Scripted[] | undefined) => {
    const model = await serve(answers ?? []);
    const api = await serve([health]);
    close = async () => {
      await api.close();
      await model.close();
    };
    if (answers === undefined) await model.close();
    const result = await run(Client.target(api.url, "key-1"), unguarded, {
      picture: Buffer.from("x"),
      modelServer: new URL("/v1", model.url),
      signal: new AbortController().signal,
      onOutcome: () => {},
    });
    return { seen: model.seen, outcomes: result.map(({ outcome }) => outcome), why: result[0]?.why };
  };

  it("fail the smoke test when they answer, with any status; no key is sent there", async () => {
    const { seen, outcomes, why } = await about([
      ...[{ body: { ok: 1 } }, { status: 422, body: { error } }],
      ...[{ body: { data: [] } }, { status: 400, body: { error } }],
    ]);
    expect(outcomes).toEqual(["failed", "failed", "failed", "failed"]);
    expect(why).toContain("WITHOUT A KEY");
    expect(seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "POST /invocations",
      "POST /tokenize",
      "GET /v1/models",
      "POST /v1/chat/completions",
    ]);
    expect(JSON.stringify(seen)).not.toContain("key-1");
  });

  it("pass behind the proxy, and are skipped if no server is there", async () => {
    const shut = [{ status: 404 }, { status: 404 }, { status: 401 }, { status: 401 }];
    expect((await about(shut)).outcomes).toEqual(["ok", "ok", "ok", "ok"]);
    await close();
    expect((await about(undefined)).outcomes).toEqual(shut.map(() => "skipped"));
  });
});
