/**
 * Many runs that wait for hours, by a virtual clock: planner, claims, endings and reconcile are the product's, on a
 * real database. SQS (groups in order, one message of a group at a time, oldest first, five minutes of deduplication,
 * counts) and the workers are simulated, because they would take those hours.
 */
import {
  GetQueueAttributesCommand,
  SendMessageBatchCommand,
  type SendMessageBatchRequestEntry,
} from "@aws-sdk/client-sqs";
import { vi } from "vitest";
import { AppError } from "#core/error";
import * as Runs from "#core/reconcile/runs";
import * as Plan from "#core/run/control/plan";
import * as Order from "#core/run/dispatch/order";
import * as Progress from "#core/run/dispatch/progress";
import type { ItemMessage } from "#core/run/dispatch/window";
import { failure } from "#core/run/item/artifact";
import * as Claim from "#core/run/item/claim";
import * as Ending from "#core/run/item/ending";
import { type RunRow, runTable } from "#core/run/run.sql";
import type { RunServices } from "#core/run/services";
import { seed, silent } from "#test/support/batches/batches";
import type { Stores } from "#test/support/run-stores";

export interface Share {
  readonly runs: number;
  readonly concurrency: number;
  readonly workers: number;
  readonly serviceMs: number;
  readonly hours: number;
}

export interface Shared {
  /** Items that ended, by run. */
  readonly ended: number[];
  readonly renumbered: number;
  readonly sentAgain: number;
  /** Messages that were received without effect. */
  readonly stale: number;
}

const dedupMs = 5 * 60_000;
const minuteMs = 60_000;

interface Message<T> {
  group: string;
  body: T;
}

/** A FIFO queue that behaves like SQS. */
class Fifo<T> {
  readonly waiting: Message<T>[] = [];
  readonly busy = new Set<string>();
  readonly #seen = new Map<string, number>();

  send({
    MessageGroupId: group = "",
    MessageDeduplicationId: id,
    MessageBody = "",
  }: SendMessageBatchRequestEntry) {
    const key = `${group}|${id}`;
    if ((this.#seen.get(key) ?? Number.NEGATIVE_INFINITY) > Date.now() - dedupMs) return;
    this.#seen.set(key, Date.now());
    this.waiting.push({ group, body: JSON.parse(MessageBody) });
  }

  take(): Message<T> | undefined {
    const at = this.waiting.findIndex(({ group }) => !this.busy.has(group));
    const [message] = at < 0 ? [] : this.waiting.splice(at, 1);
    if (message !== undefined) this.busy.add(message.group);
    return message;
  }
}

/** Runs the clock; the caller has faked `Date`. */
export async function share(stores: Stores, wanted: Share): Promise<Shared> {
  const { runs, concurrency, workers, serviceMs, hours } = wanted;
  const workplace = new Workplace(stores, serviceMs);
  const rows: RunRow[] = [];
  for (let i = 0; i < runs; i += 1) rows.push(await workplace.addRun(`run-${i}`, concurrency));
  let at = Date.now();
  const until = at + hours * 60 * minuteMs;
  let nextReconcile = at + minuteMs;

  await workplace.plan();
  while (at < until) {
    await workplace.begin(workers);
    at = Math.min(workplace.nextEnd, nextReconcile);
    vi.setSystemTime(at);
    if (at === nextReconcile) {
      await workplace.reconcile();
      nextReconcile += minuteMs;
    } else await workplace.endFirst();
    await workplace.plan();
  }
  const { renumbered, sentAgain, stale } = workplace;
  return { ended: await workplace.ended(rows), renumbered, sentAgain, stale };
}

/** What a worker holds: a message, and the item unless the message is stale. */
interface Task {
  readonly endsAt: number;
  readonly message: Message<ItemMessage>;
  readonly claimed: Claim.Claimed | undefined;
}

/** The planner and the workers, each step of which happens at the virtual time. */
class Workplace {
  renumbered = 0;
  sentAgain = 0;
  stale = 0;
  readonly #stores: Stores;
  readonly #serviceMs: number;
  readonly #items = new Fifo<ItemMessage>();
  readonly #orders = new Fifo<Order.PlanMessage>();
  readonly #services: RunServices;
  /** What workers are at, the first to end first. */
  readonly #tasks: Task[] = [];

  constructor(stores: Stores, serviceMs: number) {
    this.#stores = stores;
    this.#serviceMs = serviceMs;
    this.#services = imitated(stores, this.#items, this.#orders);
  }

  get nextEnd(): number {
    return this.#tasks[0]?.endsAt ?? Number.POSITIVE_INFINITY;
  }

  async addRun(runId: string, concurrency: number): Promise<RunRow> {
    await seed(this.#services.db, { runId, total: 20_000, concurrency, key: "shared/none.jpg" });
    const row = await this.#stores.run(runId, "local-admin");
    await Order.order(this.#services, row, "plan", silent);
    return row;
  }

  /** Performs all orders that wait. */
  async plan(): Promise<void> {
    for (let order = this.#orders.take(); order !== undefined; order = this.#orders.take()) {
      await Plan.plan(this.#services, order.body, { deadline: Date.now() + 100_000 }, silent);
      this.#orders.busy.delete(order.group);
    }
  }

  /** Gives every free worker a message. */
  async begin(workers: number): Promise<void> {
    while (this.#tasks.length < workers) {
      const message = this.#items.take();
      if (message === undefined) break;
      const leaseUntil = new Date(Date.now() + 2 * this.#serviceMs);
      const claimed = await Claim.claim(this.#services.db, message.body, leaseUntil);
      const isOurs = claimed?.item !== undefined;
      if (!isOurs) this.stale += 1;
      this.#tasks.push({ endsAt: Date.now() + (isOurs ? this.#serviceMs : 100), message, claimed });
    }
    this.#tasks.sort((a, b) => a.endsAt - b.endsAt);
  }

  async endFirst(): Promise<void> {
    const [task] = this.#tasks.splice(0, 1);
    if (task === undefined) return;
    const { message, claimed } = task;
    const services = this.#services;
    this.#items.busy.delete(message.group);
    if (claimed?.item === undefined) {
      const outlook = await Progress.read(services.db, message.body.run_uid);
      if (outlook !== undefined) await Progress.duties(services, outlook, silent, { again: true });
      return;
    }
    const { run, item } = claimed;
    const error = new AppError("invalid_image", "no picture");
    const artifact = failure(run, item, error, { startedAt: Date.now(), version: services.version });
    const outlook = await Ending.conclude(services, silent, { run, row: item }, artifact);
    if (outlook !== undefined) await Progress.duties(services, outlook, silent);
  }

  async reconcile(): Promise<void> {
    const repairs = await Runs.reconcile(this.#services, silent);
    this.renumbered += repairs.runs_renumbered;
    this.sentAgain += repairs.items_sent_again;
  }

  async ended(rows: readonly RunRow[]): Promise<number[]> {
    const found = await this.#services.db.query.select().from(runTable);
    return rows.map(({ runUid }) => found.find((row) => row.runUid === runUid)?.failed ?? 0);
  }
}

function imitated(stores: Stores, items: Fifo<ItemMessage>, orders: Fifo<Order.PlanMessage>): RunServices {
  const of = (url: string | undefined) => (url === "item" ? items : orders);
  const send = async (command: unknown) => {
    if (command instanceof SendMessageBatchCommand) {
      const { QueueUrl, Entries = [] } = command.input;
      for (const entry of Entries) of(QueueUrl).send(entry);
      return { Successful: Entries.map(({ Id }) => ({ Id })) };
    }
    if (!(command instanceof GetQueueAttributesCommand)) throw new Error("not imitated");
    const { waiting, busy } = of(command.input.QueueUrl);
    return {
      Attributes: {
        ApproximateNumberOfMessages: String(waiting.length),
        ApproximateNumberOfMessagesNotVisible: String(busy.size),
        ApproximateNumberOfMessagesDelayed: "0",
      },
    };
  };
  const { services } = stores;
  // A put takes no time, so that only the queue delays.
  const bucket = { send: async () => ({ $metadata: {} }) };
  return {
    ...services,
    bucket: { ...services.bucket, client: bucket as never },
    queues: {
      client: { send } as never,
      urls: { plan: "plan", item: "item", single: "single", later: "later", urgent: "urgent" },
      timeoutMs: 5_000,
    },
    model: {} as never,
  };
}
