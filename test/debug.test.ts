import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { createClient } from "@libsql/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "#cli/program";
import { type Exit, exit } from "#cli/terminal/context";
import type { ArtifactEntry } from "#core/artifact/listing";
import * as BackupLimits from "#core/backup/limits";
import { verify } from "#core/backup/verify";
import * as Bucket from "#core/bucket/bucket";
import * as Config from "#core/config";
import * as Database from "#core/db/database";
import * as Key from "#core/key/key";
import { type CallOptions, startLoop, type TestLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import { base64 } from "#test/support/pictures";
import { silent } from "#test/support/test-bucket";

const pepper = "pepper-for-debug-tests";
const fields = {
  total: "12.00",
  subtotal: "10.00",
  tax: "2.00",
  service: null,
  discount: null,
  cash: null,
  card: null,
  change: null,
};
/** More than one call packs, so that the queue is needed. */
const many = BackupLimits.limits().direct.objects + 20;

let loop: TestLoop;
let model: ModelServer.ModelServer;
let db: Database.Db;
let bucket: Bucket.Bucket;
let alice: string;
let bob: string;
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "ocrlty-debug-"));
  model = await ModelServer.start({ respond: () => ModelServer.json(fields) });
  loop = await startLoop({
    env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", API_KEY_PEPPER: pepper, S3_PREFIX: "p" },
  });
  db = Database.wrap(createClient({ url: `file:${loop.home}/ocrlty.db`, timeout: 5_000 }));
  const values = Config.parse("bucket", loop.env);
  bucket = Bucket.open(
    {
      bucket: values.S3_BUCKET,
      endpoint: values.S3_ENDPOINT_URL,
      region: values.S3_REGION,
      prefix: values.S3_PREFIX,
      allowOverwrite: false,
      presignTtlS: 60,
      forcePathStyle: true,
      accessKeyId: values.S3_ACCESS_KEY_ID,
      secretAccessKey: values.S3_SECRET_ACCESS_KEY,
    },
    8_000,
  );
  const reader = async (keyId: string) =>
    (await Key.create(db, pepper, { keyId, role: "debugger", scopes: ["extract:run", "debug:read_raw"] }))
      .api_key;
  [alice, bob] = [await reader("alice"), await reader("bob")];
  for (const [key, id] of [
    [alice, "a-1"],
    [alice, "a-2"],
    [bob, "b-1"],
  ] as const) {
    const answer = await loop.call("/v1/extract", {
      key,
      json: { image_base64: await base64(), request_id: id },
    });
    if (answer.status !== 200)
      throw new Error(`${answer.text}\n${JSON.stringify(loop.events("request_error"))}`);
  }
});
afterAll(async () => {
  db?.client.close();
  bucket?.client.destroy();
  await loop?.close();
  await model?.close();
  await rm(dir, { recursive: true, force: true });
});

const root = "/v1/debug/artifacts";
const get = (path: string, options?: CallOptions) => loop.call(`${root}${path}`, options);
const list = async (query: string, key?: string) => {
  const { status, body } = await get(query, key === undefined ? {} : { key });
  expect(status).toBe(200);
  return body as { items: ArtifactEntry[]; next_cursor: string | null };
};
const ids = async (query: string, key?: string) =>
  (await list(query, key)).items.map((item) => item.request_id);
const codeOf = (body: unknown) => (body as { error?: { code: string } }).error?.code;
const bytesAt = async (path: string, key = loop.apiKey) => {
  const response = await fetch(`${loop.url}${root}${path}`, {
    headers: { "x-api-key": key },
    redirect: "manual",
  });
  return { response, bytes: Buffer.from(await response.arrayBuffer()) };
};

describe("the list of artifacts", () => {
  test("is newest first: all keys' for an admin, only its own for another key", async () => {
    expect(await ids("")).toEqual(["b-1", "a-2", "a-1"]);
    expect(await ids("", alice)).toEqual(["a-2", "a-1"]);
    expect(await ids("", bob)).toEqual(["b-1"]);
    expect(await ids("?key_id=alice")).toEqual(["a-2", "a-1"]);
    expect(await ids("?key_id=nobody")).toEqual([]);
  });

  test("continues at the cursor, and can be limited to a day and a kind", async () => {
    const first = await list("?limit=2");
    expect(first.items.length).toBe(2);
    const rest = await list(`?limit=2&cursor=${first.next_cursor}`);
    expect([...first.items, ...rest.items].map((item) => item.request_id)).toEqual(["b-1", "a-2", "a-1"]);
    const today = first.items[0]?.date ?? "";
    expect((await ids(`?date=${today}`)).length).toBe(3);
    expect(await ids("?date=2001-01-01")).toEqual([]);
    expect(await ids("?kind=evals")).toEqual([]);
  });

  test("refuses invalid parameters", async () => {
    for (const query of [
      "?limit=0",
      "?limit=201",
      "?limit=x",
      "?kind=inputs",
      "?date=yesterday",
      "?cursor=abc",
      "?unknown=1",
    ])
      expect(codeOf((await get(query)).body), query).toBe("invalid_request");
  });

  test("of another key gets the same answer whether that key exists or not", async () => {
    const [known, unknown] = [
      await get("?key_id=bob", { key: alice }),
      await get("?key_id=nobody", { key: alice }),
    ];
    expect(known.status).toBe(404);
    const shape = (answer: typeof known) => ({ ...(answer.body as { error: object }).error, request_id: "" });
    expect(shape(known)).toEqual(shape(unknown));
  });

  test("needs debug:read_raw", async () => {
    const { api_key: key } = await Key.create(db, pepper, { keyId: "carol", role: "debugger" });
    for (const path of ["", "/a-1", "/a-1/raw", "/backup.tar.gz"]) {
      const answer = await get(path, { key });
      expect([answer.status, codeOf(answer.body)], path).toEqual([403, "forbidden"]);
    }
  });
});

describe("one artifact", () => {
  test("is given as it is stored, to its owner and to an admin who names the key", async () => {
    const [entry] = (await list("?limit=1", alice)).items;
    const stored = new TextDecoder().decode(await Bucket.get(bucket, silent, entry?.artifact_rel ?? ""));
    expect((await get("/a-2", { key: alice })).text).toBe(stored);
    expect((await get("/a-2?key_id=alice")).text).toBe(stored);
    expect((await get(`/a-2?key_id=alice&date=${entry?.date}`)).text).toBe(stored);
    expect(Buffer.byteLength(stored)).toBe(entry?.bytes);
  });

  test("has its model text at /raw, as plain text", async () => {
    const answer = await get("/a-1/raw", { key: alice });
    expect(answer.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(JSON.parse(answer.text)).toEqual(fields);
  });

  test("of another key, or of no key, is not found", async () => {
    for (const path of [
      "/b-1",
      "/b-1/raw",
      "/nope",
      "/nope/raw",
      "/b-1?key_id=bob",
      "/a-1~9",
      "/a-1?attempt=4",
      "/..%2Fbob%2Fb-1",
      "/a-1?date=2001-01-01",
    ]) {
      const answer = await get(path, { key: alice });
      expect([answer.status, codeOf(answer.body)], path).toEqual([404, "not_found"]);
    }
  });

  test("that recorded a failed attempt is listed as one, and read by its number", async () => {
    model.respond = () => ModelServer.json("no object at all");
    const failed = await loop.call("/v1/extract", {
      key: bob,
      json: { image_base64: await base64(9), request_id: "b-2" },
    });
    model.respond = () => ModelServer.json(fields);
    expect(codeOf(failed.body)).toBe("invalid_model_output");
    const entry = (await list("?limit=1", bob)).items[0];
    expect(entry).toMatchObject({ request_id: "b-2", attempt: 1 });
    expect((await get("/b-2?attempt=1", { key: bob })).body).toMatchObject({
      request_id: "b-2",
      status: "failed",
    });
    expect((await get("/b-2/raw?attempt=1", { key: bob })).status).toBe(200);
  });

  test("too large for an answer is a signed URL", async () => {
    const rel = "batches/2026-11-01/alice/big.json";
    const content = JSON.stringify({ request_id: "big", filler: "x".repeat(4.5 * 1024 * 1024) });
    await Bucket.put(bucket, silent, rel, { body: content, contentType: "application/json" });
    const path = "/big?kind=batches&date=2026-11-01";
    const redirect = await get(path, { key: alice });
    expect(redirect.status).toBe(303);
    // Whatever `Accept` says: only the query requests an address.
    expect((await get(path, { key: alice, headers: { accept: "application/json" } })).status).toBe(303);
    const named = (await get(`${path}&as=url`, { key: alice })).body as {
      url: string;
      expires_at: string;
    };
    expect(Date.parse(named.expires_at)).toBeGreaterThan(Date.now());
    for (const url of [redirect.headers.get("location") ?? "", named.url]) {
      const response = await fetch(url);
      expect(response.headers.get("content-disposition")).toBe('attachment; filename="big.json"');
      expect(await response.text()).toBe(content);
    }
    expect((await fetch(named.url.replace("big.json", "other.json"))).status).toBe(403);
    await Bucket.remove(bucket, silent, rel);
  });
});

describe("a backup", () => {
  const verified = (bytes: Buffer) => verify(() => Readable.from([bytes]));

  test("of a few artifacts is the archive itself, each caller's own", async () => {
    const { response, bytes } = await bytesAt("/backup.tar.gz", alice);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/gzip");
    expect(await verified(bytes)).toMatchObject({ ok: true, entries: 2, head: { key_id: "alice" } });
    const everybody = await verified((await bytesAt("/backup.tar.gz")).bytes);
    expect(everybody).toMatchObject({ ok: true, head: { key_id: null } });
    expect(everybody.entries).toBeGreaterThan(3);
    expect((await get("/backup.tar.gz?key_id=bob", { key: alice })).status).toBe(404);
  });

  test("refuses invalid days, and a range that ends before it begins", async () => {
    for (const query of ["?from=today", "?from=2026-11-02&to=2026-11-01", "?kind=all"])
      expect(codeOf((await get(`/backup.tar.gz${query}`)).body), query).toBe("invalid_request");
  });

  test("of many artifacts is made by the queue's worker: 202 until it is ready, then the command downloads and verifies it", async () => {
    for (let at = 0; at < many; at += 40)
      await Promise.all(
        Array.from({ length: Math.min(40, many - at) }, (_, i) =>
          Bucket.put(bucket, silent, `extracts/2020-01-0${1 + (i % 9)}/alice/old-${at + i}.json`, {
            body: `{"n":${at + i}}`,
            contentType: "application/json",
          }),
        ),
      );
    const query = "/backup.tar.gz?to=2020-12-31&kind=extracts";
    const first = await get(query, { key: alice });
    expect(first.status).toBe(202);
    expect(Number(first.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(first.body).toEqual({ status: "running", entries: 0, poll_url: `${root}${query}` });
    await expect
      .poll(async () => (await get(query, { key: alice })).status, { timeout: 15_000, interval: 100 })
      .toBe(303);

    const file = join(dir, "b.tar.gz");
    const done = await command(
      ["backup", "--out", file, "--to", "2020-12-31", "--kind", "extracts", "--verify"],
      alice,
    );
    expect(done).toEqual({ status: exit.ok, out: expect.stringContaining(`${many} artifacts`), said: "" });
    // Bob has none, and the answer comes at once.
    expect(await verified((await bytesAt(query, bob)).bytes)).toMatchObject({ ok: true, entries: 0 });

    const again = await command(["backup", "--out", file], alice);
    expect(again).toMatchObject({ status: exit.failed, said: expect.stringContaining("--force") });
    const bytes = await readFile(file);
    bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] ?? 0) ^ 0xff;
    await writeFile(file, bytes);
    expect(await command(["backup", "verify", file], alice)).toMatchObject({ status: exit.items, out: "" });
  });

  test("that the key may not read gives one line and exit status 2", async () => {
    const file = join(dir, "refused.tar.gz");
    const { api_key: key } = await Key.create(db, pepper, { keyId: "dave", role: "client" });
    const refused = await command(["backup", "--out", file], key);
    expect(refused.status).toBe(exit.failed);
    expect(refused.said).toMatch(/^error: .*forbidden[^\n]*\n$/);
    await expect(readFile(file)).rejects.toThrow();
  });
});

async function command(args: string[], key: string): Promise<{ status: Exit; out: string; said: string }> {
  let out = "";
  let said = "";
  const status = await run(args, {
    env: { OCRLTY_URL: loop.url, OCRLTY_API_KEY: key },
    cwd: dir,
    signal: new AbortController().signal,
    out: (text) => {
      out += text;
    },
    say: (line) => {
      said += `${line}\n`;
    },
    stdin: async () => Buffer.alloc(0),
  });
  return { status, out, said };
}
