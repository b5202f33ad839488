/**
 * The planner alone, bundled like a function, in its own process so that its memory can be measured. `fill` keeps a
 * run's window full, a given number of times, with items that end as soon as they are sent; `check` goes through
 * manifests; `finish` writes results. Prints one line of JSON.
 */
import { eq, sql } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import * as Database from "#core/db/database";
import * as Window from "#core/run/dispatch/window";
import * as Finish from "#core/run/results/finish";
import { type RunRow, runTable } from "#core/run/run.sql";
import * as Check from "#core/run/source/check";
import { services } from "#functions/services";
import { silent } from "./silent.ts";

/** What a process held and did. */
export interface Measured {
  ms: number;
  peak_rss_mb: number;
  peak_heap_mb: number;
}

/** As long as a function has. */
const stepMs = 115_000;

const stores = services(Bucket.patient());
let peakHeap = 0;
const look = () => {
  peakHeap = Math.max(peakHeap, process.memoryUsage().heapUsed);
};

async function rowOf(runUid: string): Promise<RunRow> {
  const [row] = await stores.db.query.select().from(runTable).where(eq(runTable.runUid, runUid));
  if (row === undefined) throw new Error("there is no such run");
  return row;
}

async function fill(runUid: string, times: number): Promise<void> {
  for (let i = 0; i < times; i += 1) {
    await Window.fill(stores, runUid, silent);
    await Database.batch(stores.db, [
      Database.statement(
        sql`UPDATE item SET status = 'succeeded' WHERE run_uid = ${runUid} AND status = 'queued' AND sent_epoch > 0`,
      ),
    ]);
    look();
  }
}

async function check(runUid: string): Promise<void> {
  for (;;) {
    const outcome = await Check.step(stores, await rowOf(runUid), { deadline: Date.now() + stepMs }, silent);
    look();
    if (outcome === "failed") throw new Error("the manifest was refused");
    if (outcome === "done") return;
  }
}

async function finish(runUid: string): Promise<void> {
  for (;;) {
    const outcome = await Finish.step(stores, await rowOf(runUid), { deadline: Date.now() + stepMs }, silent);
    look();
    if (outcome === "not_yet") throw new Error("items are still to end");
    if (outcome === "done") return;
  }
}

/** `main(KIND, TIMES, RUN_UID…)` */
export async function main([kind, times = "", ...runs]: string[]): Promise<void> {
  const sampler = setInterval(look, 20);
  const startedAt = performance.now();
  for (const runUid of runs) {
    if (kind === "fill") await fill(runUid, Number(times));
    else if (kind === "check") await check(runUid);
    else await finish(runUid);
  }
  clearInterval(sampler);
  const mb = (bytes: number) => Math.round(bytes / 104_857.6) / 10;
  const measured: Measured = {
    ms: Math.round(performance.now() - startedAt),
    // In kilobytes on every system.
    peak_rss_mb: mb(process.resourceUsage().maxRSS * 1024),
    peak_heap_mb: mb(peakHeap),
  };
  process.stdout.write(`${JSON.stringify(measured)}\n`, () => process.exit(0));
}
