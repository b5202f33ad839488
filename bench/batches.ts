/**
 * `npm run bench -- batch`: how busy a run keeps the model server, beside a bare loop on the same queues; what an item
 * costs in calls, at growing sizes of a run; memory and pace of the planner at 10,000 and 100,000 items.
 * `--only busy,latency,operations,scale` picks parts. Exit status 1 when a bar is missed.
 */
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import * as KeepBusy from "./batch/keep-busy.ts";
import * as Operations from "./batch/operations.ts";
import * as Rig from "./batch/rig.ts";
import * as Scale from "./batch/scale.ts";
import * as Figures from "./support/figures.ts";

const parts = ["busy", "latency", "operations", "scale"] as const;
type Part = (typeof parts)[number];

/** About what a database, a bucket and a queue in the same region take. */
const latency = { sqlMs: 25, putMs: 60, sqsMs: 15 };
/** With latency the question is how much concurrency keeps a GPU with this many slots busy. */
const latencyConcurrencies = [8, 10, 12, 16];

interface Answer {
  good: boolean;
  missed: string[];
  /** Load of the machine over the last minute, before and after. */
  load: [number, number];
  busy?: KeepBusy.Busy[];
  latency?: KeepBusy.Delayed[];
  operations?: { measured: Operations.Operations[]; growth: number };
  scale?: { measured: Scale.Step[]; growth: ReturnType<typeof Scale.growth> };
}

const whole = (text: string) => (/^[1-9]\d*$/.test(text) ? Number(text) : Number.NaN);
const progress = (line: string) => process.stderr.write(`${line}\n`);

/** Measures and prints. Exit status 0; 1 when a bar was missed; 2 for wrong arguments. */
export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      json: { type: "boolean", default: false },
      only: { type: "string", default: parts.join(",") },
      rounds: { type: "string", default: "3" },
      items: { type: "string", default: "300" },
      concurrency: { type: "string", default: "8,32" },
      sizes: { type: "string", default: "100,1000,10000" },
      scale: { type: "string", default: "10000,100000" },
    },
  });
  const [rounds, items] = [whole(values.rounds), whole(values.items)];
  const concurrencies = values.concurrency.split(",").map(whole);
  const sizes = values.sizes.split(",").map(whole);
  const [small = Number.NaN, large = Number.NaN] = values.scale.split(",").map(whole);
  const only = values.only.split(",");
  const numbers = [rounds, items, ...concurrencies, ...sizes, small, large];
  if (numbers.some(Number.isNaN) || only.some((name) => !(parts as readonly string[]).includes(name))) {
    process.stderr.write(
      `--rounds, --items, --concurrency, --sizes and --scale are whole numbers; --only is of ${parts.join(", ")}\n`,
    );
    return 2;
  }
  const wants = (part: Part) => only.includes(part);
  const answer: Answer = { good: true, missed: [], load: [load(), 0] };

  if (wants("busy") || wants("latency"))
    Object.assign(answer, await busyAndLatency(wants, { items, rounds, concurrencies }));
  if (wants("operations")) answer.operations = await operations(sizes);
  if (wants("scale")) {
    const measured = await Scale.measure([small, large], progress);
    answer.scale = { measured, growth: Scale.growth(measured) };
  }

  answer.missed = missed(answer);
  answer.good = answer.missed.length === 0;
  answer.load[1] = load();
  process.stdout.write(values.json ? `${JSON.stringify(answer, null, 2)}\n` : text(answer));
  return answer.good ? 0 : 1;
}

/** Both on one loop. */
async function busyAndLatency(
  wants: (part: Part) => boolean,
  { items, rounds, concurrencies }: { items: number; rounds: number; concurrencies: number[] },
): Promise<Pick<Answer, "busy" | "latency">> {
  const answer: Pick<Answer, "busy" | "latency"> = {};
  const rig = await Rig.open({ maxConcurrency: Math.max(2, ...concurrencies) });
  try {
    if (wants("busy")) {
      answer.busy = [];
      for (const concurrency of concurrencies)
        answer.busy.push(await KeepBusy.measure(rig, { items, concurrency, rounds, progress }));
    }
    if (wants("latency")) {
      answer.latency = [];
      for (const concurrency of latencyConcurrencies.filter((n) => n <= Math.max(...concurrencies))) {
        const one = await KeepBusy.delayed(rig, { latency, items: 10 * concurrency, concurrency });
        progress(JSON.stringify(one));
        answer.latency.push(one);
      }
    }
  } finally {
    await rig.close();
  }
  return answer;
}

async function operations(sizes: readonly number[]): Promise<NonNullable<Answer["operations"]>> {
  const measured: Operations.Operations[] = [];
  const rig = await Rig.open({ maxConcurrency: 8 });
  try {
    // The first calls of the processes do not count as operations.
    await Operations.measure(rig, 50, 8);
    for (const size of sizes) {
      measured.push(await Operations.measure(rig, size, 8));
      progress(JSON.stringify(measured.at(-1)));
    }
  } finally {
    await rig.close();
  }
  return { measured, growth: Operations.growth(measured) };
}

const load = () => Figures.round(loadavg()[0] ?? 0, 1);

/** The bars that were missed, one line each. */
function missed({ busy = [], operations, scale }: Answer): string[] {
  const lines = busy
    .filter(({ ours_to_bare, goal }) => ours_to_bare < goal)
    .map(
      ({ concurrency, ours_to_bare, goal }) =>
        `concurrency ${concurrency}: ours ÷ bare is ${ours_to_bare}, below ${goal}`,
    );
  if (operations !== undefined) {
    if (!(operations.growth <= Operations.maxGrowth))
      lines.push(`operations of an item grow by ${operations.growth}, above ${Operations.maxGrowth}`);
    if (!Operations.meetsGoals(operations.measured))
      lines.push(`an item costs more than ${JSON.stringify(Operations.goals)}`);
  }
  for (const [step, { rss, heap }] of Object.entries(scale?.growth ?? {})) {
    if (!(rss <= Scale.maxGrowth)) lines.push(`memory of ${step} grows by ${rss}, above ${Scale.maxGrowth}`);
    if (!(heap <= Scale.maxGrowth)) lines.push(`heap of ${step} grows by ${heap}, above ${Scale.maxGrowth}`);
  }
  return lines;
}

function text({ good, missed, load, busy, latency, operations, scale }: Answer): string {
  const out: string[] = [];
  if (busy !== undefined) {
    const head = ["concurrency", "items", "ours", "bare", "ours ÷ bare", "goal", "from POST to finished"];
    const rows = busy.map((one) => [
      ...[one.concurrency, one.items, one.ours, one.bare, one.ours_to_bare, one.goal, one.whole],
    ]);
    out.push(
      `Ideal ÷ actual time with a model server of ${KeepBusy.serviceMs} ms, medians`,
      Figures.table(head, rows),
    );
  }
  if (latency !== undefined) {
    const rows = latency.map((one) => [one.concurrency, one.items, one.busy, one.in_flight]);
    const { sqlMs, putMs, sqsMs } = latency[0]?.latency ?? Rig.noLatency;
    out.push(
      `With ${sqlMs} ms added to SQL, ${putMs} ms to puts, ${sqsMs} ms to queue calls`,
      Figures.table(["concurrency", "items", "busy", "in flight on average"], rows),
    );
  }
  if (operations !== undefined) {
    const rows = operations.measured.map((one) => [
      ...[one.items, one.sql_requests, one.sql_statements, one.puts, one.s3.GetObject ?? 0],
      ...[one.sqs_calls, one.per_minute],
    ]);
    const head = ["items", "SQL requests", "SQL statements", "puts", "gets", "SQS calls", "items a minute"];
    out.push(
      `Operations of one item; last ÷ first ${operations.growth} (at most ${Operations.maxGrowth})`,
      Figures.table(head, rows),
    );
  }
  if (scale !== undefined) {
    const rows = scale.measured.map((one) => [
      ...[one.step, one.items, one.runs, one.peak_rss_mb, one.peak_heap_mb],
      ...[Figures.round(one.ms / 1000, 1), one.items_per_second],
    ]);
    const head = ["step", "items of a run", "runs", "peak RSS MB", "peak heap MB", "s", "items/s"];
    out.push(
      `Planner; growth ${JSON.stringify(scale.growth)} (at most ${Scale.maxGrowth})`,
      Figures.table(head, rows),
    );
  }
  out.push(`load of the machine: ${load.join(" before, ")} after`);
  out.push(good ? "all bars are met" : `missed:\n${missed.map((line) => `- ${line}`).join("\n")}`);
  return `${out.join("\n\n")}\n`;
}
