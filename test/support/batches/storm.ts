/**
 * Faults for a run, at exact moments: requests of the functions are held at a gate until somebody has killed the
 * processes that wait there; the stores go away for a while. Counts what each fault may cost.
 */
import { expect, vi } from "vitest";
import type { TestLoopOptions } from "#test/support/loop";
import type * as ModelServer from "#test/support/model-server/model-server";
import { type Batches, open as openBatches } from "./batches.ts";

/** Statements on the wire: libSQL's client wraps a batch in three of its own. */
const batchStatements = 3;
const claimStatements = 4 + batchStatements;
const commitStatements = 5 + batchStatements;
const noteStatements = 1 + batchStatements;

/** Between which two steps: of an item's worker, then of who fills the window, then of the planner. */
export const windows = [
  "before the claim",
  "after the claim",
  "while the model is asked",
  "before the put",
  "before the commit",
  "before the duties",
  "before the sends",
  "before the note",
  "in the finish",
] as const;
export type Window = (typeof windows)[number];

/** A request that waits to be the last thing its process did. */
interface Gate {
  readonly filled: PromiseWithResolvers<void>;
  readonly released: PromiseWithResolvers<void>;
  taken: boolean;
}

interface Away {
  readonly hit: PromiseWithResolvers<void>;
  begun: boolean;
}

export interface Storm {
  readonly batches: Batches;
  /** The next request of each window is held. @returns when all of them are there. */
  hold(wanted: readonly Window[]): Promise<void>;
  /**
   * All others are held at the model server. @returns when no worker is on its way any more: one that dies before it
   * has set its message's visibility keeps its slot for as long as the queue's own.
   */
  gather(): Promise<void>;
  /** SIGKILL for every process of the function that is at work, and for what waits at the gates. */
  kill(functionName: "item" | "plan" | "urgent"): void;
  /** From the next commit on the database answers nothing, for so long. */
  databaseAway(ms: number): Promise<void>;
  /** The same with the bucket, from the next artifact on. */
  bucketAway(ms: number): Promise<void>;
  /** No message can be deleted, so that all of them come back. */
  deletesRefused(ms: number): Promise<void>;
  readonly report: Report;
  /** Items that were asked although their artifact had been put before. */
  askedInVain(): string[];
}

/** What happened, and what of it may have cost a question at the model server. */
export interface Report {
  readonly kills: Record<string, number>;
  /** Sum over the kills of the item processes that were at work, those of timeouts included. */
  inFlightAtKills: number;
  /** Artifacts that the bucket did not take, and commits that the database did not take, while they were away. */
  commitsRefused: number;
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Starts a loop and a model server whose every request goes through the storm.
 * @param options.lateMs - so long after its sender's death a commit arrives at the database all the same.
 */
export async function open(
  options: TestLoopOptions & { respond: ModelServer.Respond; lateMs: number },
): Promise<Storm> {
  const { respond, lateMs, ...loopOptions } = options;
  const gates = new Map<Window, Gate>();
  /** Where those wait who came to the model server while all were gathered. */
  let gathered: PromiseWithResolvers<void> | undefined;
  let held = 0;
  const report: Report = { kills: {}, inFlightAtKills: 0, commitsRefused: 0 };
  const putAt = new Map<string, number>();
  const refusedPuts = new Set<string>();
  const away: Record<"database" | "bucket" | "deletes", Away | undefined> = {
    ...{ database: undefined, bucket: undefined, deletes: undefined },
  };
  /** True while it is away, which it is from the first request on that matters. */
  const isAway = (what: keyof typeof away, matters: boolean): boolean => {
    const now = away[what];
    if (now === undefined) return false;
    if (matters && !now.begun) {
      now.begun = true;
      now.hit.resolve();
    }
    return now.begun;
  };
  let batches: Batches | undefined;

  const busy = (functionName: string) =>
    batches?.loop.lambda
      .instances()
      .filter((each) => each.functionName === functionName && each.state === "busy") ?? [];

  /** True when the request came to a gate: its process is dead by now. */
  const at = async (window: Window): Promise<boolean> => {
    const gate = gates.get(window);
    if (gate === undefined || gate.taken) return false;
    gate.taken = true;
    gate.filled.resolve();
    held += 1;
    await gate.released.promise;
    held -= 1;
    return true;
  };

  batches = await openBatches({
    ...loopOptions,
    model: {
      respond: async (request, n) => {
        if (await at("while the model is asked")) return { kind: "hang" };
        if (gathered !== undefined) {
          held += 1;
          await gathered.promise;
          held -= 1;
          return { kind: "hang" };
        }
        return respond(request, n);
      },
    },
    onRequest: {
      s3: async ({ operation, key }) => {
        const [, id] = /^extracts\/.*\/([^/]+~\d+)\.json$/.exec(key) ?? [];
        const put = operation === "PutObject" && id !== undefined;
        if (isAway("bucket", put)) {
          // The client tries a few times.
          if (put && !refusedPuts.has(id)) {
            refusedPuts.add(id);
            report.commitsRefused += 1;
          }
          return { status: 503 };
        }
        if (operation === "GetObject" && key.startsWith("data/") && (await at("after the claim")))
          return { status: 0 };
        if (operation === "PutObject" && key.startsWith("batches/") && (await at("in the finish")))
          return { status: 0 };
        if (put) {
          if (await at("before the put")) return { status: 0 };
          if (!putAt.has(id)) putAt.set(id, Date.now());
        }
        return undefined;
      },
      sql: async ({ statements }) => {
        if (isAway("database", statements === commitStatements)) {
          if (statements === commitStatements) report.commitsRefused += 1;
          throw new Error("the database is away");
        }
        const window =
          statements === claimStatements
            ? "before the claim"
            : statements === commitStatements
              ? "before the commit"
              : statements === noteStatements && busy("urgent").length > 0
                ? "before the note"
                : undefined;
        if (window === undefined || !(await at(window))) return;
        // Under way for longer than its sender's lease: somebody else has ended the item by then.
        if (window === "before the commit") return void (await sleep(lateMs));
        throw new Error("the caller is dead");
      },
      sqs: async ({ action, byFunction }) => {
        if (action === "DeleteMessageBatch" && isAway("deletes", true)) throw new Error("not now");
        if (action !== "SendMessageBatch" || !byFunction) return;
        // Who fills the window sends items, the items' workers order that.
        const window = busy("urgent").length > 0 ? "before the sends" : "before the duties";
        if (await at(window)) throw new Error("the caller is dead");
      },
    },
  });
  const started = batches;

  /** Begins with somebody's commit, put or delete: a storm that nobody notices would prove nothing. */
  const outage = async (what: keyof typeof away, ms: number) => {
    const hit = Promise.withResolvers<void>();
    away[what] = { hit, begun: false };
    await hit.promise;
    await sleep(ms);
    away[what] = undefined;
  };

  return {
    batches: started,
    report,
    hold: async (wanted) => {
      for (const window of wanted)
        gates.set(window, {
          filled: Promise.withResolvers(),
          released: Promise.withResolvers(),
          taken: false,
        });
      await Promise.all(wanted.map((window) => gates.get(window)?.filled.promise));
    },
    gather: async () => {
      gathered = Promise.withResolvers();
      await vi.waitFor(() => expect(held).toBeGreaterThanOrEqual(busy("item").length), {
        timeout: 10_000,
        interval: 5,
      });
    },
    kill: (functionName) => {
      const killed = busy(functionName).filter(({ pid }) => started.loop.lambda.killInstance(pid));
      if (functionName === "item") report.inFlightAtKills += killed.length;
      for (const [window, gate] of gates) {
        report.kills[window] = (report.kills[window] ?? 0) + 1;
        gate.released.resolve();
      }
      gates.clear();
      gathered?.resolve();
      gathered = undefined;
    },
    databaseAway: (ms) => outage("database", ms),
    bucketAway: (ms) => outage("bucket", ms),
    deletesRefused: (ms) => outage("deletes", ms),
    askedInVain: () =>
      started.model.requests
        .filter(({ headers, at }) => at > (putAt.get(String(headers["x-request-id"])) ?? at))
        .map(({ headers }) => String(headers["x-request-id"])),
  };
}
