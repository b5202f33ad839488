import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import * as Job from "#core/backup/job";
import * as Bucket from "#core/bucket/bucket";
import { MiB, type Rig, small, start, verified } from "#test/support/backup-rig";
import { silent } from "#test/support/test-bucket";

let rig: Rig;
beforeAll(async () => {
  rig = await start();
});
afterAll(() => rig.close());
afterEach(() => rig.reset());

describe("a worker that dies", () => {
  /**
   * Makes a backup whose creation time is always the same, so that archives can be compared byte by byte. The
   * worker dies at the `crashAt`th call of its steps: that call and all later ones fail, until the message comes again.
   * @returns the archive, and the operations of the steps.
   */
  async function make(
    createdAt: number,
    crashAt?: number,
  ): Promise<{ archive: Buffer; operations: string[] }> {
    const admin = rig.client();
    vi.useFakeTimers({ toFake: ["Date"], now: createdAt });
    await admin.request();
    vi.useRealTimers();
    const state = admin.queue[0]?.state ?? "";
    const operations: string[] = [];
    let dead = false;
    rig.store.hook.answer = ({ operation, key }) => {
      operations.push(key.endsWith(".json") && key.includes("/extracts/") ? "artifact" : operation);
      dead ||= operations.length === crashAt;
      return dead ? { status: 403 } : undefined;
    };
    for (let message = admin.queue[0]; message !== undefined; message = admin.queue[0]) {
      const delivered = await admin.deliver(message, 20).then(
        () => true,
        () => false,
      );
      dead = false;
      if (delivered) admin.queue.shift();
      // The dead worker's lease has to end first.
      else
        await vi.waitUntil(
          async () => ((await Job.load(rig.store.bucket, silent, state))?.state.leaseUntil ?? 0) < Date.now(),
          { interval: 5 },
        );
    }
    rig.store.hook.answer = () => undefined;
    const made = (await rig.isUnder("backups/")()).map((object) => object.rel);
    expect(made.length).toBe(2);
    const archive = await rig.bytesOf({
      kind: "stored",
      rel: made.find((rel) => rel.endsWith(".tar.gz")) ?? "",
    });
    await clearBackups();
    return { archive, operations };
  }
  const clearBackups = async () => {
    for (const { rel } of await rig.isUnder("backups/")()) await Bucket.remove(rig.store.bucket, silent, rel);
  };
  const soon = async () => {
    const createdAt = Date.now() + 20;
    await vi.waitUntil(() => Date.now() > createdAt, { interval: 5 });
    return createdAt;
  };

  test("at any call of any step costs nothing: the archive is the same, byte by byte", async () => {
    await rig.put(5);
    const createdAt = await soon();
    const { archive, operations } = await make(createdAt);
    expect(await verified(archive)).toMatchObject({ ok: true, entries: 5 });
    // The worker dies before each call that changes something, and during the clean-up. A death anywhere between two
    // such calls has the effect of one before the second.
    const changes = operations.flatMap((operation, i) =>
      /^(Put|Create|Upload|Complete)/.test(operation) ? [i + 1] : [],
    );
    const points = [...changes, operations.indexOf("DeleteObject") + 2];
    expect(points.length).toBeGreaterThan(8);
    for (const crashAt of points) {
      const again = await make(createdAt, crashAt);
      expect(again.archive.equals(archive), `crash at call ${crashAt}, ${operations[crashAt - 1]}`).toBe(
        true,
      );
    }
  });

  test("between two parts, or after the last, costs nothing either", async () => {
    await rig.put(5);
    await rig.store.put("evals/2026-11-10/alice/large.json", randomBytes(5.5 * MiB).toString("base64"));
    const createdAt = await soon();
    const { archive, operations } = await make(createdAt);
    expect(archive.length).toBeGreaterThan(small.partBytes);
    const parts = operations.flatMap((operation, i) => (operation === "UploadPart" ? [i + 2] : []));
    expect(parts.length).toBe(2);
    for (const crashAt of [parts[0] ?? 0, operations.indexOf("CompleteMultipartUpload") + 2]) {
      expect((await make(createdAt, crashAt)).archive.equals(archive), `crash at call ${crashAt}`).toBe(true);
    }
  });
});

describe("deliveries", () => {
  test("of one step at the same time: one works, the other is retried, and the archive is complete", async () => {
    await rig.put(11);
    const admin = rig.client();
    await admin.request();
    let refused = 0;
    while (admin.queue.length > 0) {
      const message = admin.queue.shift() as Job.Message;
      const results = await Promise.allSettled([
        admin.deliver(message),
        admin.deliver(message),
        admin.deliver(message),
      ]);
      expect(results.some((result) => result.status === "fulfilled")).toBe(true);
      for (const result of results) {
        if (result.status === "fulfilled") continue;
        refused += 1;
        expect(result.reason).toMatchObject({ retryAfterS: expect.any(Number) });
      }
    }
    expect(refused).toBeGreaterThan(0);
    expect(await verified(await rig.bytesOf(await admin.request()))).toMatchObject({ ok: true, entries: 11 });
  });

  test("of old messages, of messages for another archive, and after the end change nothing", async () => {
    await rig.put(11);
    const admin = rig.client();
    await admin.request();
    const first = admin.queue[0] as Job.Message;
    await admin.run();
    const before = await rig.bytesOf(await admin.request());
    for (const message of [
      first,
      { ...first, job: "another" },
      { ...first, step: 2 },
      { ...first, state: "backups/x/00.json" },
    ])
      await admin.deliver(message);
    expect(admin.queue).toEqual([]);
    expect((await rig.bytesOf(await admin.request())).equals(before)).toBe(true);
  });

  test("of a step whose worker died before it handed over: the next step is ordered", async () => {
    await rig.put(11);
    const admin = rig.client();
    await admin.request();
    const first = admin.queue.shift() as Job.Message;
    const { send } = admin.services;
    admin.services.send = async () => {
      throw new Error("the queue is away");
    };
    await expect(admin.deliver(first)).rejects.toThrow();
    admin.services.send = send;
    await admin.deliver(first);
    expect(admin.queue.map((message) => message.step)).toEqual([1]);
    await admin.run();
    expect(await verified(await rig.bytesOf(await admin.request()))).toMatchObject({ ok: true, entries: 11 });
  });
});
