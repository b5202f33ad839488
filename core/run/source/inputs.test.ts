import { eq } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as Claim from "#core/extraction/claim";
import { extractTable } from "#core/extraction/extract.sql";
import * as Handover from "#core/extraction/handover";
import * as Row from "#core/extraction/row";
import { sweep } from "#core/input/sweep";
import * as Plan from "#core/run/control/plan";
import * as Cancel from "#core/run/dispatch/cancel";
import { runTable } from "#core/run/run.sql";
import type { StoredInput } from "#core/source/source";
import * as Upload from "#core/upload/upload";
import { uploadTable } from "#core/upload/upload.sql";
import { noLimits } from "#spec/key-limits";
import { batches } from "#spec/limits";
import * as RunStores from "#test/support/run-stores";
import * as Create from "./create.ts";
import * as Inputs from "./inputs.ts";

/* Pictures are removed when they must be, and stay while work has yet to read them. */

const { silent, callerOf } = RunStores;
let stores: RunStores.Stores;
beforeAll(async () => {
  stores = await RunStores.open();
});
afterAll(() => stores.close());
beforeEach(() => stores.services.db.query.delete(runTable).then(() => undefined));

describe("the files of a multipart call", () => {
  const files = [1, 2, 3].map((i) => ({
    name: `receipt-${i}.jpg`,
    mimeType: "image/jpeg",
    bytes: Buffer.from(`picture ${i}`),
  }));
  const input = { task_id: "receipt_fields_v1", concurrency: 2, persist_inputs: false, run_id: "r", files };

  /** The stores with another client for the bucket. */
  const through = (before: () => Promise<void>, after = async () => {}) => {
    const real = stores.bucket.bucket.client;
    const send: typeof real.send = async (operation, input, options) => {
      if (operation !== "PutObject") return real.send(operation, input, options);
      await before();
      const answer = await real.send(operation, input, options);
      await after();
      return answer;
    };
    const client = { ...real, send };
    // The time that a test spends within a call counts as the time of the call.
    return { ...stores.services, bucket: { ...stores.services.bucket, client, timeoutMs: 60_000 } };
  };

  test("leave nothing behind when the run is canceled, and has ended, while they are stored", async () => {
    const { services } = stores;
    let canceled = false;
    const canceling = through(
      async () => {},
      async () => {
        if (canceled) return;
        canceled = true;
        const run = await stores.run("r");
        await Cancel.cancel(services, run, silent);
        for (const kind of ["sweep", "finish", "finish"] as const)
          await Plan.plan(services, { kind, run_uid: run.runUid }, { deadline: Date.now() + 10_000 }, silent);
      },
    );
    const made = await Create.receive(canceling, silent, input, callerOf());
    expect(made.run.state).toBe("canceled");
    expect(await stores.below("inputs/runs/")).toEqual([]);
  });

  test("leave nothing behind when a repeat gives up while they are stored", async () => {
    const gate = Promise.withResolvers<void>();
    const storing = Promise.withResolvers<void>();
    const slow = through(async () => {
      storing.resolve();
      await gate.promise;
    });
    const broken = through(() => Promise.reject(new Error("away")));
    const first = RunStores.failure(Create.receive(slow, silent, input, callerOf()));
    await storing.promise;
    expect((await RunStores.failure(Create.receive(broken, silent, input, callerOf()))).code).toBe(
      "storage_unavailable",
    );
    gate.resolve();
    expect((await first).code).toBe("storage_unavailable");
    expect(await stores.runs()).toEqual([]);
    expect(await stores.below("inputs/runs/")).toEqual([]);
  });
});

describe("an upload", () => {
  const leaseUntil = () => new Date(Date.now() + 30_000);
  const claimed = async (requestId: string) => {
    const wish = { keyId: "key-1", requestId, taskId: "receipt_fields_v1", payloadHash: "p" };
    const options = { mustBeNew: false, handoverWindowMs: 1, limits: noLimits };
    const { claim } = await Claim.claim(stores.services.db, { ...wish, leaseUntil: leaseUntil() }, options);
    if (claim === undefined) throw new Error("it is not ours");
    return claim.row;
  };
  const handOver = async (row: Row.Row, read: Awaited<ReturnType<typeof Upload.read>>) => {
    const given: Omit<StoredInput, "objectKey" | "temporary"> & { objectKey: string } = {
      ...{ source: "upload", declaredMimeType: null, debug: null, principalRole: "client" },
      ...{ objectKey: read.objectKey, etag: read.etag },
    };
    const picture = { bytes: read.bytes, mimeType: "image/png", input: given };
    const work = { picture, cutOff: false, waitingFor: null, used: undefined };
    await Handover.handOver(stores.services, silent, row, work);
  };
  const inputOf = async (requestId: string) => {
    const row = await Row.find(stores.services.db, "key-1", requestId);
    return row?.input ?? undefined;
  };

  test("stays beyond its week while an extract in line is to read it", async () => {
    const { services } = stores;
    const ref = await stores.upload("picture a");
    const read = await Upload.read(services, silent, { ref, keyId: "key-1" });
    await handOver(await claimed("a"), read);
    await services.db.query.update(uploadTable).set({ keepUntil: new Date(1) });
    expect(await sweep(services, silent)).toBe(0);
    expect(await stores.below("inputs/uploads/")).toEqual([read.objectKey]);
    await services.db.query
      .update(extractTable)
      .set({ status: "succeeded" })
      .where(eq(extractTable.requestId, "a"));
    expect(await sweep(services, silent)).toBe(1);
    expect(await stores.below("inputs/uploads/")).toEqual([]);
  });

  test("that is a manifest stays beyond its week while it is being checked", async () => {
    const { services } = stores;
    const lines = Array.from({ length: batches.inlineManifestLines + 1 }, (_, i) => ({
      image_key: `shared/${i}`,
    }));
    const body = lines.map((line) => JSON.stringify(line)).join("\n");
    const manifest_ref = await stores.upload(body, { kind: "manifest" });
    const given = Create.parse({ task_id: "receipt_fields_v1", run_id: "r", manifest_ref });
    const { run } = await Create.create(services, silent, given, callerOf());
    expect(run.state).toBe("planning");
    await services.db.query.update(uploadTable).set({ keepUntil: new Date(1) });
    expect(await sweep(services, silent)).toBe(0);
    await services.db.query
      .update(runTable)
      .set({ state: "canceling" })
      .where(eq(runTable.runUid, run.runUid));
    expect(await sweep(services, silent)).toBe(1);
    expect(await stores.below("inputs/uploads/")).toEqual([]);
  });

  test("that is removed at the end of a run while the model is asked is copied for the extract that is then handed over", async () => {
    const { services } = stores;
    const ref = await stores.upload("picture b");
    const read = await Upload.read(services, silent, { ref, keyId: "key-1" });
    const row = await claimed("b");
    const { run } = await Create.create(
      services,
      silent,
      Create.parse({ task_id: "receipt_fields_v1", run_id: "r", manifest: [{ image_ref: ref }] }),
      callerOf(),
    );
    await Inputs.removeNext(services, silent, run, { after: -1, most: 500 });
    expect(await stores.below("inputs/uploads/")).toEqual([]);
    await handOver(row, read);
    const input = await inputOf("b");
    expect(input).toMatchObject({ temporary: true, etag: null });
    expect(await stores.below("inputs/tmp/")).toEqual([input?.objectKey]);
  });
});
