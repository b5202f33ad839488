import { randomUUID } from "node:crypto";
import type { Lambda } from "#local/lambda/pool";
import type { ScheduleSpec } from "#spec/queues";

interface ClockOptions {
  readonly schedules: Readonly<Record<string, ScheduleSpec>>;
  readonly lambda: Pick<Lambda, "invoke">;
  readonly timeScale: number;
  readonly region: string;
}

interface Clock {
  /** No more calls; returns when those in flight have ended. */
  stop(): Promise<void>;
}

const unitMs = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

/** "rate(5 minutes)" in milliseconds. Throws on anything else. */
export function periodMs(rate: string): number {
  const [, count, unit] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(rate) ?? [];
  if (count === undefined || Number(count) === 0) throw new Error(`no rate: ${rate}`);
  return Number(count) * unitMs[unit as keyof typeof unitMs];
}

/** Calls each function at its rate, the first time after one period. A call that is not done in time skips the next. */
export function start({ schedules, lambda, timeScale, region }: ClockOptions): Clock {
  const running = new Map<string, Promise<unknown>>();
  const timers = Object.entries(schedules).map(([name, { function: functionName, rate }]) =>
    setInterval(() => {
      if (running.has(functionName)) return;
      const call = lambda
        .invoke(functionName, event(name, region))
        // A failure is in the functions' log; the schedule continues.
        .catch(() => undefined)
        .finally(() => running.delete(functionName));
      running.set(functionName, call);
    }, periodMs(rate) * timeScale),
  );
  return {
    stop: async () => {
      for (const timer of timers) clearInterval(timer);
      await Promise.all(running.values());
    },
  };
}

/** What EventBridge Scheduler sends when no input is set. */
function event(name: string, region: string): object {
  return {
    version: "0",
    id: randomUUID(),
    "detail-type": "Scheduled Event",
    source: "aws.scheduler",
    account: "000000000000",
    time: new Date().toISOString().replace(/\.\d+/, ""),
    region,
    resources: [`arn:aws:scheduler:${region}:000000000000:schedule/default/${name}`],
    detail: "{}",
  };
}
