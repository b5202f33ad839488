/**
 * Faults for a run at exact moments: requests of the functions are held at a gate until the test kills the processes
 * that wait there; stores become unavailable for a while. Counts what each fault may cost.
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

/** Between which two steps: of an item's worker, of the window's planner, of the long planner. */
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

/** A request that is held, and is the last one of its process. */
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
  /** Holds the next request of each window. @returns when all of them are held. */
  hold(wanted: readonly Window[]): Promise<void>;
  /**
   * Holds all other requests at the model server. @returns when no worker is in between: one that dies before it sets
   * its message's visibility keeps its slot for the queue's own visibility.
   */
  gather(): Promise<void>;
  /** Sends SIGKILL to every working process of the function, and to those held at the gates. */
  kill(functionName: "item" | "plan" | "urgent"): void;
  /** Makes the database unavailable for this long, from the next commit on. */
  databaseAway(ms: number): Promise<void>;
  /** Makes the bucket unavailable for this long, from the next artifact on. */
  bucketAway(ms: number): Promise<void>;
  /** Makes deletions of messages fail, so that all messages come back. */
  deletesRefused(ms: number): Promise<void>;
  readonly report: Report;
  /** Items that were asked although their artifact was already stored. */
  askedInVain(): string[];
}

/** What happened, and which events may have cost a model call. */
export interface Report {
  readonly kills: Record<string, number>;
  /** The number of working item processes at the kills, including those of timeouts. */
  inFlightAtKills: number;
  /** Artifacts and commits that failed because a store was unavailable. */
  commitsRefused: number;
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Starts a loop and a model server, and observes every request.
 * @param options.lateMs - how long after its sender's death a commit still arrives at the database.
 */
export async function open(
  options: TestLoopOptions & { respond: ModelServer.Respond; lateMs: number },
): Promise<Storm> {
  const { respond, lateMs, ...loopOptions } = options;
  const gates = new Map<Window, Gate>();
  /** Where requests wait that came to the model server while all were held. */
  let gathered: PromiseWithResolvers<void> | undefined;
  let held = 0;
  const report: Report = { kills: {}, inFlightAtKills: 0, commitsRefused: 0 };
  const putAt = new Map<string, number>();
  const refusedPuts = new Set<string>();
  const away: Record<"database" | "bucket" | "deletes", Away | undefined> = {
    ...{ database: undefined, bucket: undefined, deletes: undefined },
  };
  /** True during the outage, which begins with the first relevant request. */
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

  /** True if the request was held at a gate; its process is dead by now. */
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
        // Under way for longer than its sender's lease, so another worker has ended the item by then.
        if (window === "before the commit") return void (await sleep(lateMs));
        throw new Error("the caller is dead");
      },
      sqs: async ({ action, byFunction }) => {
        if (action === "DeleteMessageBatch" && isAway("deletes", true)) throw new Error("not now");
        if (action !== "SendMessageBatch" || !byFunction) return;
        // Items' workers order the step that fills the window and sends items.
        const window = busy("urgent").length > 0 ? "before the sends" : "before the duties";
        if (await at(window)) throw new Error("the caller is dead");
      },
    },
  });
  const started = batches;

  /** Starts with a commit, put or delete, because a fault that affects no request would prove nothing. */
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
