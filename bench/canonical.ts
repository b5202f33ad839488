/**
 * `npm run bench -- canonical [--against DIR]`: processor time for normalizing and checking an answer of 300 rows.
 * With another checkout of this repository and its installed packages, also that one's time in the same run, as a
 * ratio. The two run in turns, so that other load affects both.
 */
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type * as Checks from "#core/canonical/checks/checks";
import type * as Normalize from "#core/canonical/normalize";
import type { Check } from "#core/canonical/schema";
import type * as Task from "#core/task/task";
import * as Figures from "./support/figures.ts";

const rows = 300;
const warmUpRounds = 30;
/** Each round makes this many calls, because the clock of processor time is coarse. */
const callsPerRound = 8;

interface Side {
  normalize(): Normalize.Normalized;
  check(normalized: Normalize.Normalized): Check[];
}

/** The modules of a checkout: its own `#core/…` imports lead to its own files. */
async function load(root: string, taskId: string, answer: unknown): Promise<Side> {
  const from = async <T>(path: string) => (await import(pathToFileURL(join(root, path)).href)) as T;
  const normalizer = await from<typeof Normalize>("core/canonical/normalize.ts");
  const checker = await from<typeof Checks>("core/canonical/checks/checks.ts");
  const tasks = await from<typeof Task>("core/task/task.ts");
  const task = tasks.get(taskId);
  if (!task) throw new Error("that checkout has no such task");
  return {
    normalize: () => normalizer.normalize(task.fields, answer),
    check: (normalized) => checker.run(task, answer, normalized),
  };
}

const style = { minimumFractionDigits: 2, maximumFractionDigits: 2 };

/** Amounts in cents as they are printed in a locale. */
function printer(locale: string) {
  const format = new Intl.NumberFormat(locale, style);
  return (cents: number) => format.format(cents / 100);
}

/** A receipt whose rows, tax and change all fit. */
function receipt(locale: string, mark: string) {
  const print = printer(locale);
  let cents = 0;
  const items = Array.from({ length: rows }, (_, index) => {
    const quantity = 1 + (index % 4);
    const unitPrice = 100 + ((index * 137) % 900);
    cents += quantity * unitPrice;
    return {
      name: `ITEM ${index}`,
      quantity: `${quantity}x`,
      unit_price: print(unitPrice),
      price: `${print(quantity * unitPrice)}${index % 3 === 0 ? " A" : ""}`,
    };
  });
  return {
    merchant: { name: "SAMPLE MARKET", address: null, phone: null, tax_id: null },
    receipt_number: "0042",
    date: "24.05.2031",
    time: "14:30",
    currency: mark,
    items,
    totals: {
      subtotal: null,
      discount: null,
      service: null,
      tax: print(Math.round((cents * 19) / 119)),
      tip: null,
      rounding: null,
      total: `${print(cents)} ${mark}`,
    },
    payment: {
      method: "Cash",
      cash: print(cents + 500),
      card: null,
      change: print(500),
      card_last4: null,
    },
  };
}

const documents = [
  { name: "de-DE, EUR", answer: receipt("de-DE", "EUR") },
  { name: "en-US, unmarked", answer: { ...receipt("en-US", ""), currency: null } },
] as const;

interface Times {
  normalize: number[];
  check: number[];
}

function measure(side: Side, times: Times): void {
  const start = process.cpuUsage();
  let normalized = side.normalize();
  for (let call = 1; call < callsPerRound; call += 1) normalized = side.normalize();
  const middle = process.cpuUsage(start);
  const between = process.cpuUsage();
  for (let call = 0; call < callsPerRound; call += 1) side.check(normalized);
  const end = process.cpuUsage(between);
  const milliseconds = ({ user, system }: NodeJS.CpuUsage) => (user + system) / 1000 / callsPerRound;
  times.normalize.push(milliseconds(middle));
  times.check.push(milliseconds(end));
}

interface Figure {
  document: string;
  normalize_ms: number;
  check_ms: number;
  both_ms: number;
  /** This checkout's time divided by the other's: the median of the rounds' ratios. */
  ratio?: { normalize: number; check: number; both: number; other_ms: number };
}

async function figureOf(
  document: { name: string; answer: unknown },
  against: string | undefined,
  rounds: number,
): Promise<Figure> {
  const here = await load(resolve(import.meta.dirname, ".."), "receipt_v1", document.answer);
  const there =
    against === undefined ? undefined : await load(resolve(against), "receipt_v1", document.answer);
  const empty = (): Times => ({ normalize: [], check: [] });
  let [own, other] = [empty(), empty()];
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    if (round === 0) [own, other] = [empty(), empty()];
    // The order alternates, so that neither always collects the other's garbage.
    const order = round % 2 === 0 ? ([here, there] as const) : ([there, here] as const);
    for (const side of order) if (side) measure(side, side === here ? own : other);
  }
  const both = ({ normalize, check }: Times) => normalize.map((value, index) => value + (check[index] ?? 0));
  const median = (values: number[]) => Figures.round(Figures.median(values), 2);
  const ratio = (ours: number[], theirs: number[]) =>
    median(ours.map((value, index) => value / Math.max(theirs[index] ?? 0, 0.001)));
  return {
    document: document.name,
    normalize_ms: median(own.normalize),
    check_ms: median(own.check),
    both_ms: median(both(own)),
    ...(there && {
      ratio: {
        normalize: ratio(own.normalize, other.normalize),
        check: ratio(own.check, other.check),
        both: ratio(both(own), both(other)),
        other_ms: median(both(other)),
      },
    }),
  };
}

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      json: { type: "boolean", default: false },
      against: { type: "string" },
      rounds: { type: "string", default: "40" },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    process.stderr.write("--rounds takes a whole number above 0\n");
    return 2;
  }
  const figures: Figure[] = [];
  for (const document of documents) figures.push(await figureOf(document, values.against, rounds));
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ rows, rounds, figures }, null, 2)}\n`);
    return 0;
  }
  const head = [
    "300 rows",
    "normalize ms",
    "check ms",
    "both ms",
    "other's both ms",
    "ratio",
    "normalize",
    "check",
  ];
  const lines = figures.map(({ document, ratio, ...own }) => [
    document,
    own.normalize_ms,
    own.check_ms,
    own.both_ms,
    ratio?.other_ms ?? "-",
    ratio?.both ?? "-",
    ratio?.normalize ?? "-",
    ratio?.check ?? "-",
  ]);
  process.stdout.write(`${Figures.table(head, lines)}\n`);
  return 0;
}
