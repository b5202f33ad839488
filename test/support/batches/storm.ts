/**
 * Faults for a run at exact moments: requests of the functions are held at a gate until the test kills the processes
 * that wait there; stores become unavailable for a while. Counts what each fault may cost.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, vi } from "vitest";
import type { TestLoopOptions } from "#test/support/loop";
import type * as ModelServer from "#test/support/model-server/model-server";
import { type Batches, open as openBatches } from "./batches.ts";
import { Gates } from "./gates.ts";
import { Outages } from "./outages.ts";

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

/** What happened, and which events may have cost a model call. */
export interface Report {
  readonly kills: Record<string, number>;
  /** The number of working item processes at the kills, including those of timeouts. */
  inFlightAtKills: number;
  /** Artifacts and commits that failed because a store was unavailable. */
  commitsRefused: number;
}

type Requests = Required<NonNullable<TestLoopOptions["onRequest"]>>;

export class Storm {
  readonly report: Report = { kills: {}, inFlightAtKills: 0, commitsRefused: 0 };
  readonly #respond: ModelServer.Respond;
  readonly #lateMs: number;
  readonly #gates = new Gates<Window>();
  readonly #outages = new Outages();
  readonly #putAt = new Map<string, number>();
  readonly #refusedPuts = new Set<string>();
  #batches: Batches | undefined;

  constructor(respond: ModelServer.Respond, lateMs: number) {
    this.#respond = respond;
    this.#lateMs = lateMs;
  }

  get batches(): Batches {
    if (this.#batches === undefined) throw new Error("the loop has not started");
    return this.#batches;
  }

  async start(options: TestLoopOptions): Promise<void> {
    this.#batches = await openBatches({
      ...options,
      model: { respond: this.#answer },
      onRequest: { s3: this.#onS3, sql: this.#onSql, sqs: this.#onSqs },
    });
  }

  /** Holds the next request of each window. @returns when all of them are held. */
  hold(wanted: readonly Window[]): Promise<void> {
    return this.#gates.hold(wanted);
  }

  /**
   * Holds all other requests at the model server. @returns when no worker is in between: one that dies before it sets
   * its message's visibility keeps its slot for the queue's own visibility.
   */
  async gather(): Promise<void> {
    this.#gates.gather();
    await vi.waitFor(() => expect(this.#gates.held).toBeGreaterThanOrEqual(this.#busy("item").length), {
      timeout: 10_000,
      interval: 5,
    });
  }

  /** Sends SIGKILL to every working process of the function, and to those held at the gates. */
  kill(functionName: "item" | "plan" | "urgent"): void {
    const { lambda } = this.batches.loop;
    const killed = this.#busy(functionName).filter(({ pid }) => lambda.killInstance(pid));
    if (functionName === "item") this.report.inFlightAtKills += killed.length;
    for (const window of this.#gates.release())
      this.report.kills[window] = (this.report.kills[window] ?? 0) + 1;
  }

  /** Makes the database unavailable for this long, from the next commit on. */
  databaseAway(ms: number): Promise<void> {
    return this.#outages.take("database", ms);
  }

  /** Makes the bucket unavailable for this long, from the next artifact on. */
  bucketAway(ms: number): Promise<void> {
    return this.#outages.take("bucket", ms);
  }

  /** Makes deletions of messages fail, so that all messages come back. */
  deletesRefused(ms: number): Promise<void> {
    return this.#outages.take("deletes", ms);
  }

  /** Items that were asked although their artifact was already stored. */
  askedInVain(): string[] {
    return this.batches.model.requests
      .filter(({ headers, at }) => at > (this.#putAt.get(String(headers["x-request-id"])) ?? at))
      .map(({ headers }) => String(headers["x-request-id"]));
  }

  #busy(functionName: string) {
    const instances = this.#batches?.loop.lambda.instances() ?? [];
    return instances.filter((each) => each.functionName === functionName && each.state === "busy");
  }

  readonly #answer: ModelServer.Respond = async (request, n) => {
    if (await this.#gates.waitAt("while the model is asked")) return { kind: "hang" };
    if (await this.#gates.waitIfGathered()) return { kind: "hang" };
    return this.#respond(request, n);
  };

  readonly #onS3: Requests["s3"] = async ({ operation, key }) => {
    const [, id] = /^extracts\/.*\/([^/]+~\d+)\.json$/.exec(key) ?? [];
    const put = operation === "PutObject" && id !== undefined;
    if (this.#outages.isAway("bucket", put)) {
      // The client tries a few times.
      if (put && !this.#refusedPuts.has(id)) {
        this.#refusedPuts.add(id);
        this.report.commitsRefused += 1;
      }
      return { status: 503 };
    }
    const window = windowOfS3(operation, key);
    if (window !== undefined && (await this.#gates.waitAt(window))) return { status: 0 };
    if (put) {
      if (await this.#gates.waitAt("before the put")) return { status: 0 };
      if (!this.#putAt.has(id)) this.#putAt.set(id, Date.now());
    }
    return undefined;
  };

  readonly #onSql: Requests["sql"] = async ({ statements }) => {
    const isCommit = statements === commitStatements;
    if (this.#outages.isAway("database", isCommit)) {
      if (isCommit) this.report.commitsRefused += 1;
      throw new Error("the database is away");
    }
    const window = this.#windowOfSql(statements);
    if (window === undefined || !(await this.#gates.waitAt(window))) return;
    // Under way for longer than its sender's lease, so another worker has ended the item by then.
    if (window === "before the commit") return void (await sleep(this.#lateMs));
    throw new Error("the caller is dead");
  };

  #windowOfSql(statements: number): Window | undefined {
    if (statements === claimStatements) return "before the claim";
    if (statements === commitStatements) return "before the commit";
    return statements === noteStatements && this.#busy("urgent").length > 0 ? "before the note" : undefined;
  }

  readonly #onSqs: Requests["sqs"] = async ({ action, byFunction }) => {
    if (action === "DeleteMessageBatch" && this.#outages.isAway("deletes", true)) throw new Error("not now");
    if (action !== "SendMessageBatch" || !byFunction) return;
    // Items' workers order the step that fills the window and sends items.
    const window = this.#busy("urgent").length > 0 ? "before the sends" : "before the duties";
    if (await this.#gates.waitAt(window)) throw new Error("the caller is dead");
  };
}

function windowOfS3(operation: string, key: string): Window | undefined {
  if (operation === "GetObject" && key.startsWith("data/")) return "after the claim";
  if (operation === "PutObject" && key.startsWith("batches/")) return "in the finish";
  return undefined;
}

/**
 * Starts a loop and a model server, and observes every request.
 * @param options.lateMs - how long after its sender's death a commit still arrives at the database.
 */
export async function open(
  options: TestLoopOptions & { respond: ModelServer.Respond; lateMs: number },
): Promise<Storm> {
  const { respond, lateMs, ...loopOptions } = options;
  const storm = new Storm(respond, lateMs);
  await storm.start(loopOptions);
  return storm;
}
