import { createClient } from "@libsql/client";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as Database from "#core/db/database";
import { extractTable } from "#core/extraction/extract.sql";
import { type Answer, startLoop, type TestLoop } from "#test/support/loop";
import * as ModelServer from "#test/support/model-server/model-server";
import { base64 } from "#test/support/pictures";
import { expectPrivate, fields } from "#test/support/privacy";

/** A lease of 34 s ends after 3.4 s, and reconcile runs every 6 s. */
const timeScale = 1 / 10;

/** Statements of a commit and of a claim on the wire: libSQL's client wraps a batch in three of its own. */
const commitStatements = 5;
const claimStatements = 8;

/** The current faults of the bucket and the database, and a hook before each request. */
let onPut: (key: string) => { status: number } | undefined = () => undefined;
let onSql: (statements: number) => void | Promise<void> = () => {};

let loop: TestLoop;
let model: ModelServer.ModelServer;
let db: Database.Db;

beforeAll(async () => {
  model = await ModelServer.start({ model: "scripted" });
  loop = await startLoop({
    timeScale,
    // Without keys the only statements of an extract are its claim and its commit.
    env: { VLLM_BASE_URL: model.url, VLLM_MODEL: "scripted", AUTH_ENABLED: "0" },
    onRequest: {
      s3: ({ operation, key }) => (operation === "PutObject" ? onPut(key) : undefined),
      sql: ({ statements }) => onSql(statements),
    },
  });
  db = Database.wrap(createClient({ url: `file:${loop.home}/ocrlty.db`, timeout: 5_000 }));
  // A first instance starts beside those of other tests' loops, and its start counts toward the scaled time of a
  // call.
  model.respond = () => ModelServer.json(fields);
  const warm = await newCall("warm");
  await vi.waitFor(async () => expect((await warm()).status).toBe(200), { timeout: 30_000, interval: 300 });
});
afterAll(async () => {
  db?.client.close();
  await loop?.close();
  await model?.close();
});

let count = 500;
/** A call that can be repeated with the same picture. */
async function newCall(id: string): Promise<() => Promise<Answer>> {
  count += 1;
  const json = { image_base64: await base64(count), request_id: id };
  return () => loop.call("/v1/extract", { json, key: null });
}
const get = (id: string) => loop.call(`/v1/extracts/${id}`, { key: null });
const row = async (id: string) =>
  (await db.query.select().from(extractTable)).find((each) => each.requestId === id);
const codeOf = (answer: Answer) => (answer.body as { error: { code: string } }).error.code;

/** Runs the function and removes the faults afterwards, even if it throws. */
async function during<T>(
  faults: { put?: typeof onPut; sql?: typeof onSql },
  run: () => Promise<T>,
): Promise<T> {
  onPut = faults.put ?? onPut;
  onSql = faults.sql ?? onSql;
  try {
    return await run();
  } finally {
    onPut = () => undefined;
    onSql = () => {};
  }
}

describe("storage faults", () => {
  test("the bucket away at the put: 503, the artifact waits in the row, and the same call later asks no model again", async () => {
    model.respond = () => ModelServer.json(fields);
    const call = await newCall("bucket-away");
    const before = model.requests.length;
    const failed = await during({ put: () => ({ status: 503 }) }, call);
    expect(failed.status).toBe(503);
    expect(codeOf(failed)).toBe("storage_unavailable");
    expect(Number(failed.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await row("bucket-away"))?.pendingArtifact).not.toBeNull();
    // Readable at once, from the row.
    expect((await get("bucket-away")).body).toMatchObject({ status: "succeeded", result: fields });
    const again = await call();
    expect(again.status).toBe(200);
    expect(again.body).toMatchObject({ result: fields });
    expect(model.requests.length).toBe(before + 1);
    expect(await row("bucket-away")).toMatchObject({ status: "succeeded", pendingArtifact: null });
  });

  test("reconcile writes an artifact that waits in its row", async () => {
    const call = await newCall("bucket-back");
    await during({ put: () => ({ status: 503 }) }, call);
    await expect.poll(async () => (await row("bucket-back"))?.status, { timeout: 15_000 }).toBe("succeeded");
    expect((await get("bucket-back")).body).toMatchObject({ status: "succeeded" });
  });

  test("the database away: 503 before the model is asked, and the same call later is answered", async () => {
    const call = await newCall("database-away");
    const before = model.requests.length;
    const away = () => {
      throw new Error("away");
    };
    const failed = await during({ sql: away }, call);
    expect(failed.status).toBe(503);
    expect(codeOf(failed)).toBe("storage_unavailable");
    expect(model.requests.length).toBe(before);
    expect((await call()).status).toBe(200);
  });

  test("the database away at the commit: the artifact decides, and no second model call is made", async () => {
    const call = await newCall("commit-away");
    const before = model.requests.length;
    const failed = await during(
      {
        sql: (statements) => {
          if (statements === commitStatements) throw new Error("away");
        },
      },
      call,
    );
    expect(failed.status).toBe(503);
    await expect.poll(async () => (await call()).status, { timeout: 15_000, interval: 300 }).toBe(200);
    expect(model.requests.length).toBe(before + 1);
  });

  test("a locked database that does not answer in time is 503, not a hanging call", async () => {
    const call = await newCall("database-silent");
    const startedAt = Date.now();
    const failed = await during({ sql: () => new Promise((resolve) => setTimeout(resolve, 1_500)) }, call);
    expect(failed.status).toBe(503);
    expect(Date.now() - startedAt).toBeLessThan(2_900);
  });
});

describe("a function's process is killed", () => {
  /** Kills the process that serves the extract, as the kernel would. */
  const kill = () => {
    const busy = loop.lambda
      .instances()
      .find(({ functionName, state }) => functionName === "extract" && state === "busy");
    expect(busy).toBeDefined();
    loop.lambda.killInstance(busy?.pid ?? 0);
  };
  const once = <A extends unknown[], R>(run: (...args: A) => R) => {
    let done = false;
    return (...args: A): R | undefined => {
      if (done) return undefined;
      done = true;
      return run(...args);
    };
  };

  test.each([
    ["before the claim", 1],
    ["while the model is asked", 2],
    ["before the artifact is put", 2],
    ["between artifact and row", 1],
  ])("%s: nothing is lost, nothing is stuck, and the model is asked %i time(s)", async (window, calls) => {
    const call = await newCall(`killed-${window.replaceAll(" ", "-")}`);
    const before = model.requests.length;
    const killOnce = once(kill);
    model.respond = () => {
      if (window === "while the model is asked") killOnce();
      return ModelServer.json(fields);
    };
    const died = await during(
      {
        put: () => {
          if (window !== "before the artifact is put") return undefined;
          killOnce();
          return { status: 0 };
        },
        sql: (statements) => {
          const here =
            statements ===
            (window === "before the claim"
              ? claimStatements
              : window === "between artifact and row"
                ? commitStatements
                : -1);
          if (!here) return;
          killOnce();
          throw new Error("killed");
        },
      },
      call,
    );
    expect(died.status).toBe(500);
    expect(died.body).toEqual({ message: "Internal Server Error" });
    await expect.poll(async () => (await call()).status, { timeout: 20_000, interval: 300 }).toBe(200);
    expect(model.requests.length - before).toBe(calls);
    const id = `killed-${window.replaceAll(" ", "-")}`;
    expect(await row(id)).toMatchObject({ status: "succeeded", pendingArtifact: null });
    expect((await get(id)).body).toMatchObject({ status: "succeeded", result: fields });
  });

  test("an interrupted call that is not repeated is readable as failed, and reconcile logs that it ended it", async () => {
    const call = await newCall("left-alone");
    model.respond = () => {
      kill();
      return { kind: "hang" };
    };
    expect((await call()).status).toBe(500);
    model.respond = () => ModelServer.json(fields);
    await expect.poll(async () => (await row("left-alone"))?.status, { timeout: 20_000 }).toBe("retryable");
    expect((await get("left-alone")).body).toMatchObject({ status: "failed", error: { code: "internal" } });
    const said = () => loop.events("reconciled").some((event) => Number(event.interrupted) > 0);
    await expect.poll(said, { timeout: 20_000 }).toBe(true);
    // A new instance must start. On a busy machine that uses up the call's time, so it becomes a 202 first.
    await expect.poll(async () => (await call()).status, { timeout: 20_000, interval: 300 }).toBe(200);
  });
});

test("slow storage at the end of a call is 503 or 504 in our own words, never a dead function", async () => {
  const call = await newCall("slow-storage");
  model.respond = () => ({ kind: "hang" });
  const failed = await during({ put: () => new Promise(() => {}) as never }, call);
  expect([503, 504]).toContain(failed.status);
  expect(["storage_unavailable", "inference_timeout"]).toContain(codeOf(failed));
});

test("nothing private was logged in any of these faults", () => {
  expectPrivate(loop, [model.url]);
});

test("in a healthy system reconcile repairs nothing, and logs that", async () => {
  const seen = loop.events("reconciled").length;
  await expect.poll(() => loop.events("reconciled").length, { timeout: 20_000 }).toBeGreaterThan(seen);
  const { interrupted, requeued, stored, inputs, probes } = loop.events("reconciled").at(-1) ?? {};
  expect({ interrupted, requeued, stored, inputs, probes }).toEqual({
    interrupted: 0,
    requeued: 0,
    stored: 0,
    inputs: 0,
    probes: 0,
  });
});
