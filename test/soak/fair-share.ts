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
export async function share(
  stores: Stores,
  { runs, concurrency, workers, serviceMs, hours }: Share,
): Promise<Shared> {
  const items = new Fifo<ItemMessage>();
  const orders = new Fifo<Order.PlanMessage>();
  const services = imitated(stores, items, orders);
  const rows: RunRow[] = [];
  for (let i = 0; i < runs; i += 1) {
    await seed(services.db, { runId: `run-${i}`, total: 20_000, concurrency, key: "shared/none.jpg" });
    const row = await stores.run(`run-${i}`, "local-admin");
    rows.push(row);
    await Order.order(services, row, "plan", silent);
  }
  let at = Date.now();
  const until = at + hours * 60 * minuteMs;
  let nextReconcile = at + minuteMs;
  let [renumbered, sentAgain, stale] = [0, 0, 0];
  const ends: { at: number; message: Message<ItemMessage>; claimed: Claim.Claimed | undefined }[] = [];

  const plan = async () => {
    for (let order = orders.take(); order !== undefined; order = orders.take()) {
      await Plan.plan(services, order.body, { deadline: Date.now() + 100_000 }, silent);
      orders.busy.delete(order.group);
    }
  };
  const begin = async (message: Message<ItemMessage>) => {
    const claimed = await Claim.claim(services.db, message.body, new Date(Date.now() + 2 * serviceMs));
    const isOurs = claimed?.item !== undefined;
    if (!isOurs) stale += 1;
    ends.push({ at: Date.now() + (isOurs ? serviceMs : 100), message, claimed });
  };
  const end = async ({ message, claimed }: (typeof ends)[number]) => {
    items.busy.delete(message.group);
    if (claimed?.item === undefined) {
      const outlook = await Progress.read(services.db, message.body.run_uid);
      if (outlook !== undefined) await Progress.duties(services, outlook, silent, { again: true });
      return;
    }
    const error = new AppError("invalid_image", "no picture");
    const artifact = failure(claimed.run, claimed.item, error, {
      startedAt: Date.now(),
      version: services.version,
    });
    const outlook = await Ending.conclude(
      services,
      silent,
      { run: claimed.run, row: claimed.item },
      artifact,
    );
    if (outlook !== undefined) await Progress.duties(services, outlook, silent);
  };

  await plan();
  while (at < until) {
    while (ends.length < workers) {
      const next = items.take();
      if (next === undefined) break;
      await begin(next);
    }
    ends.sort((a, b) => a.at - b.at);
    at = Math.min(ends[0]?.at ?? Number.POSITIVE_INFINITY, nextReconcile);
    vi.setSystemTime(at);
    if (at === nextReconcile) {
      const repairs = await Runs.reconcile(services, silent);
      renumbered += repairs.runs_renumbered;
      sentAgain += repairs.items_sent_again;
      nextReconcile += minuteMs;
    } else {
      const [done] = ends.splice(0, 1);
      if (done !== undefined) await end(done);
    }
    await plan();
  }
  const found = await services.db.query.select().from(runTable);
  const ended = rows.map(({ runUid }) => found.find((row) => row.runUid === runUid)?.failed ?? 0);
  return { ended, renumbered, sentAgain, stale };
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
