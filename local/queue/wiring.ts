/**
 * Which functions queues and the clock call, and with how many processes: the tables of spec/queues.ts for the
 * existing functions, with the settings that change them.
 */
import { ConfigError } from "#core/config";
import { concurrency, takes } from "#core/setting";
import type { Env } from "#local/home/home";
import type { Lambda } from "#local/lambda/pool";
import * as Clock from "#local/queue/clock";
import type { Mapping } from "#local/queue/mapping";
import type { QueueServer } from "#local/queue/server";
import { type QueueSpec, type ScheduleSpec, type Subscription, urlVariable } from "#spec/queues";

export interface Tables {
  readonly queues: Readonly<Record<string, QueueSpec>>;
  readonly schedules: Readonly<Record<string, ScheduleSpec>>;
}

export interface Wiring {
  readonly queues: Readonly<Record<string, QueueSpec>>;
  readonly subscriptions: readonly {
    readonly queue: string;
    readonly deadLetter: boolean;
    readonly subscription: Subscription;
  }[];
  readonly schedules: Readonly<Record<string, ScheduleSpec>>;
  /** Name of the function → most processes at a time: a pool of its own, apart from the HTTP functions. */
  readonly pools: Readonly<Record<string, number>>;
}

/** Leaves out what belongs to functions that do not exist. Throws ConfigError for a setting that is out of range. */
export function plan(
  { queues, schedules }: Tables,
  functions: Readonly<Record<string, unknown>>,
  env: Env,
): Wiring {
  const subscriptions = Object.entries(queues)
    .flatMap(([queue, spec]) => [
      { queue, deadLetter: false, subscription: spec.subscription },
      ...(spec.deadLetter === undefined ? [] : [{ queue, deadLetter: true, subscription: spec.deadLetter }]),
    ])
    .filter(({ subscription }) => Object.hasOwn(functions, subscription.function))
    .map((one) => ({
      ...one,
      subscription: { ...one.subscription, maxConcurrency: maxConcurrency(one.subscription, env) },
    }));
  const clocked = Object.fromEntries(
    Object.entries(schedules)
      .filter(([, schedule]) => Object.hasOwn(functions, schedule.function))
      .filter(([, { onlyWith }]) => onlyWith === undefined || env[onlyWith] === "on"),
  );
  const pools: Record<string, number> = {};
  for (const { function: name } of Object.values(clocked)) pools[name] = 1;
  for (const { subscription } of subscriptions) {
    pools[subscription.function] = (pools[subscription.function] ?? 0) + subscription.maxConcurrency;
  }
  return { queues: subscriptions.length > 0 ? queues : {}, subscriptions, schedules: clocked, pools };
}

function maxConcurrency(
  { maxConcurrency: standard, maxConcurrencySetting: setting }: Subscription,
  env: Env,
): number {
  const given = setting === undefined ? undefined : env[setting];
  if (setting === undefined || !given) return standard;
  const schema = concurrency();
  const parsed = schema.safeParse(given);
  if (!parsed.success) throw new ConfigError([setting], `${setting} is not valid: it takes ${takes(schema)}`);
  return parsed.data;
}

/** How the functions reach the queues: the SDK's own variable, and the address of each queue. */
export function settings(server: Pick<QueueServer, "url" | "queues">): Record<string, string> {
  return {
    AWS_ENDPOINT_URL_SQS: server.url,
    ...Object.fromEntries(Object.entries(server.queues).map(([name, { url }]) => [urlVariable(name), url])),
  };
}

interface StartOptions {
  readonly wiring: Wiring;
  /** Undefined when no queue is wired. */
  readonly server: Pick<QueueServer, "queues" | "client"> | undefined;
  readonly lambda: Lambda;
  readonly timeScale: number;
  readonly region: string;
  readonly onTrouble: (error: Error) => void;
}

export interface Sources {
  /** The mapping of a queue. Throws TypeError if no function has such a queue. */
  of(queue: string): Pick<Mapping, "pause" | "resume" | "inFlight">;
  /** Takes no more messages and returns when the calls in flight have ended. */
  stop(): Promise<void>;
}

/** Starts the mappings and the clock. */
export async function start(options: StartOptions): Promise<Sources> {
  const { wiring, server, lambda, timeScale, region, onTrouble } = options;
  const parts: { stop(): Promise<void> }[] = [
    Clock.start({ schedules: wiring.schedules, lambda, timeScale, region }),
  ];
  const byQueue = new Map<string, Mapping>();
  if (server !== undefined) {
    // Loaded when needed: the SDK takes its time.
    const Mapping = await import("#local/queue/mapping");
    for (const { queue, deadLetter, subscription } of wiring.subscriptions) {
      const found = server.queues[queue];
      if (found === undefined) continue;
      const { client } = server;
      const visibilityS = wiring.queues[queue]?.visibilityTimeoutSeconds;
      const mapping = Mapping.start({
        client,
        queue: deadLetter ? found.deadLetter : found,
        subscription,
        lambda,
        region,
        ...(visibilityS === undefined ? {} : { visibilityMs: Math.ceil(visibilityS * timeScale) * 1000 }),
        onTrouble,
      });
      parts.push(mapping);
      if (!deadLetter) byQueue.set(queue, mapping);
    }
  }
  return {
    of: (queue) => {
      const found = byQueue.get(queue);
      if (found === undefined) throw new TypeError(`no function has the queue ${queue}`);
      return found;
    },
    stop: async () => {
      await Promise.all(parts.map((part) => part.stop()));
    },
  };
}
