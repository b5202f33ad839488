/** Shared by tests of a run's end: the stores, and steps that write the files. */
import { type Client, LibsqlError } from "@libsql/client/http";
import { eq } from "drizzle-orm";
import { expect } from "vitest";
import * as Place from "#core/artifact/place";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import { AppError } from "#core/error";
import * as Finishing from "#core/run/finishing";
import * as Finish from "#core/run/results/finish";
import type * as Write from "#core/run/results/write";
import { type RunRow, runTable } from "#core/run/run.sql";
import * as EndedRun from "#test/support/ended-run";
import { recording, silent } from "#test/support/test-bucket";

export const MiB = 1024 * 1024;
/** The smallest part that the protocol allows. */
export const small: Write.Sizes = { partBytes: 5 * MiB, rows: 50, reads: 4 };
export const ample = () => ({ deadline: Date.now() + 60_000 });

export const filesOf = (run: RunRow) => Place.batchFiles(run.keyId, run.runId, run.createdAt);
export const artifactOf = (run: RunRow) => Place.batchKey(run.keyId, run.runId, run.createdAt);

/** New stores, and functions for the runs in them. */
export async function start() {
  const stores = await EndedRun.start();
  const { log, lines } = recording();

  type Options = Omit<Parameters<typeof Finish.step>[2], "deadline">;
  const step = async (run: RunRow, options: Options = {}, time = ample()) =>
    Finish.step(stores.services, await stores.reload(run), { ...options, ...time }, log);

  /** Calls `step` until the run has ended; if a step throws, the next one goes on. @returns how many threw. */
  async function finish(
    run: RunRow,
    how: { sizes?: Write.Sizes; timeMs?: number; services?: typeof stores.services; most?: number } = {},
  ) {
    const { sizes = small, timeMs = 60_000, services = stores.services, most = 2_000 } = how;
    const seen = { threw: 0, more: 0 };
    for (let i = 0; i < most; i += 1) {
      try {
        const options = { deadline: Date.now() + timeMs, sizes };
        if ((await Finish.step(services, await stores.reload(run), options, log)) === "done") return seen;
        seen.more += 1;
      } catch (thrown) {
        if (!(thrown instanceof AppError) || thrown.code !== "storage_unavailable") throw thrown;
        seen.threw += 1;
      }
    }
    throw new Error("the run does not end");
  }

  return {
    stores,
    log,
    lines,
    step,
    finish,
    documents: (run: RunRow) => documentsOf(stores, run),
    rewind: (run: RunRow, document?: number) => rewind(stores, run, document),
    /** Between two tests. */
    reset: () => {
      stores.store.hook.answer = () => undefined;
      lines.length = 0;
    },
    close: () => stores.close(),
  };
}
export type Rig = Awaited<ReturnType<typeof start>>;

const relsOf = (stores: EndedRun.Stores, run: RunRow) =>
  stores.rels(`batches/2026-11-23/${run.keyId}/${run.runId}`);

/** Everything that was written of a run. */
async function documentsOf(
  stores: EndedRun.Stores,
  run: RunRow,
): Promise<Record<string, string | undefined>> {
  const all = await relsOf(stores, run);
  return Object.fromEntries(
    await Promise.all(all.map(async (rel) => [rel, await stores.text(rel)] as const)),
  );
}

/** Resets what was written, or keeps the first documents; the end time stays. */
async function rewind(stores: EndedRun.Stores, run: RunRow, document = 0): Promise<void> {
  const first = document > 0 ? filesOf(run).jsonl : undefined;
  for (const rel of await relsOf(stores, run))
    if (rel !== first) await Bucket.remove(stores.store.bucket, silent, rel);
  await stores.db.query
    .update(runTable)
    .set({
      state: "finishing",
      finishing: { ...Finishing.begin("succeeded", "test"), document },
      artifactRel: null,
    })
    .where(eq(runTable.runUid, run.runUid));
}

/** The database with another `batch`, which all writes use, and `execute`. */
function through(db: Database.Db, hooks: Partial<Pick<Client, "batch" | "execute">>): Database.Db {
  const client = new Proxy(db.client, {
    get: (target, name) => {
      if (name in hooks) return hooks[name as keyof typeof hooks];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return Database.wrap(client);
}

/** Counts the rows of the largest answer. */
export function counting(real: Database.Db) {
  let most = 0;
  const db = through(real, {
    execute: (async (...args: Parameters<Client["execute"]>) => {
      const answer = await real.client.execute(...args);
      most = Math.max(most, answer.rows.length);
      return answer;
    }) as Client["execute"],
  });
  return { db, most: () => most };
}

/** Makes every third write fail, so that each save fails once: before it took effect, or, with `applied`, after it. */
export function crashing(real: Database.Db, applied: boolean) {
  let writes = 0;
  const db = through(real, {
    batch: async (statements, mode) => {
      writes += 1;
      if (writes % 3 !== 0) return real.client.batch(statements, mode);
      if (applied) await real.client.batch(statements, mode);
      throw new LibsqlError("the connection is gone", "SERVER_ERROR");
    },
  });
  return { db, writes: () => writes };
}

/** Another worker writes three documents between this step's first write and its second. */
export function meddling(real: Database.Db, run: RunRow): Database.Db {
  let writes = 0;
  return through(real, {
    batch: async (statements, mode) => {
      writes += 1;
      if (writes === 2) {
        const finishing = { ...Finishing.begin("succeeded", "test"), document: 3 };
        await real.query.update(runTable).set({ finishing }).where(eq(runTable.runUid, run.runUid));
      }
      return real.client.batch(statements, mode);
    },
  });
}

/** Records of a CSV text after RFC 4180. */
export function records(csv: string | undefined): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain = "", end] of (csv ?? "").matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)/g)) {
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === "\n") rows.push([]);
  }
  expect(rows.pop()).toEqual([]);
  return rows;
}

export const receipt = (total: string, items: object[]) => ({
  merchant: { name: "Shop" },
  totals: { total },
  items,
});
export const line = (name: string, price: string | null) => ({
  name,
  quantity: "1",
  unit_price: null,
  price,
});
