import { parseArgs } from "node:util";
import type * as Config from "#core/config";
import * as Document from "#core/document/document";
import { perform } from "#core/reading/reading";
import * as Task from "#core/task/task";
import * as ModelServer from "#test/support/model-server/model-server";
import * as TestBucket from "#test/support/test-bucket";
import * as Figures from "../support/figures.ts";
import { type Kind, type Receipt, type Row, receipts } from "./receipts.ts";
import { contextTokens, type Manner, serverOf } from "./server.ts";

/*
 * `npm run bench -- long-paper [--only KIND] [--json]`: fifty drawn receipts of 5 to 500 rows, read by scripted model servers
 * that see what they are sent and nothing else. Ends with 1 when a bar of docs/documents.md is missed.
 */

const manners: readonly Manner[] = ["perfect", "drops", "repeats"];
/** Sharp, upright ones are read whole, all of them; of the others this share. */
const leastRead = 0.95;

interface Outcome {
  number: number;
  kind: Kind;
  manner: Manner;
  rows: number;
  /** Rows that the paper has and the answer lacks, and those that it has too many. */
  lost: number;
  surplus: number;
  complete: boolean | null | undefined;
  calls: number;
  illegible: number;
  error: string | undefined;
}

/** Measures and prints. Exit status 0; 1 for a missed bar. */
export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { json: { type: "boolean", default: false }, only: { type: "string" } },
  });
  const model = await ModelServer.start({ maxModelLen: contextTokens });
  const outcomes: Outcome[] = [];
  try {
    for await (const receipt of receipts()) {
      if (values.only !== undefined && receipt.kind !== values.only) continue;
      for (const manner of manners) {
        const outcome = await outcomeOf(receipt, manner, model);
        outcomes.push(outcome);
        if (!isWhole(outcome) || outcome.complete !== true)
          process.stderr.write(`${JSON.stringify(outcome)}\n`);
        model.requests.length = 0;
      }
    }
  } finally {
    await model.close();
  }
  const { rows, held } = tabled(outcomes);
  process.stdout.write(values.json ? `${JSON.stringify(outcomes)}\n` : `${Figures.table(head, rows)}\n`);
  return held ? 0 : 1;
}

async function outcomeOf(receipt: Receipt, manner: Manner, model: ModelServer.ModelServer): Promise<Outcome> {
  const server = serverOf(receipt, manner);
  model.respond = (request) => server.answer(request);
  const task = Task.get("receipt_v1");
  if (task === undefined) throw new Error("no such task");
  const document = await Document.open(receipt.bytes);
  const { answer, error } = await perform(serverConfig(model), {
    ...{ task, document, pages: Array.from({ length: document.pages }, (_, page) => page + 1) },
    ...{ createdAt: new Date(), requestId: `r-${receipt.number}`, log: TestBucket.silent },
    ...{ signal: new AbortController().signal, deadline: Date.now() + 600_000 },
  });
  const { items = [] } = (answer.result ?? {}) as { items?: Row[] };
  const common = commonOf(receipt.rows, items);
  return {
    ...{ number: receipt.number, kind: receipt.kind, manner, rows: receipt.rows.length },
    ...{ lost: receipt.rows.length - common, surplus: items.length - common },
    ...{ complete: answer.complete, calls: server.calls, illegible: server.illegible },
    error: error?.code,
  };
}

const serverConfig = (model: ModelServer.ModelServer): Config.Model => ({
  ...{ baseUrl: model.url, apiKey: undefined, model: "scripted-model", maxImages: 4 },
  ...{ connectTimeoutMs: 2_000, readTimeoutMs: 60_000, maxModelLen: contextTokens },
  ...{ maxTokens: undefined, look: true },
});

/** How many rows both have in the same order: the longest common subsequence. */
function commonOf(rows: readonly Row[], items: readonly Row[]): number {
  const key = ({ name, price }: Row) => `${name} ${price}`;
  let above = new Int32Array(items.length + 1);
  for (const row of rows) {
    const next = new Int32Array(items.length + 1);
    for (const [at, item] of items.entries())
      next[at + 1] =
        key(row) === key(item)
          ? (above[at] as number) + 1
          : Math.max(above[at + 1] as number, next[at] as number);
    above = next;
  }
  return above.at(-1) as number;
}

const head = [
  "server",
  "receipts",
  "of them",
  "whole",
  "row recall",
  "complete: true",
  "false",
  "null",
  "rows twice",
  "calls",
];

/** A line for each kind of receipt and server, and whether it meets its bar. */
function tabled(outcomes: readonly Outcome[]): { rows: (string | number)[][]; held: boolean } {
  const groups = Map.groupBy(outcomes, ({ manner, kind }) => `${manner}/${kind}`);
  const rows = [...groups.values()].map((group) => {
    const [{ manner, kind }] = group as [Outcome];
    const all = group.reduce((sum, { rows }) => sum + rows, 0);
    const lost = group.reduce((sum, each) => sum + each.lost, 0);
    const counted = (value: boolean | null) =>
      group.filter(({ complete }) => (complete ?? null) === value).length;
    return [
      ...[manner, kind, group.length, group.filter(isWhole).length],
      ...[Figures.round((all - lost) / all, 4), counted(true), counted(false), counted(null)],
      ...[
        group.reduce((sum, { surplus }) => sum + surplus, 0),
        group.reduce((sum, { calls }) => sum + calls, 0),
      ],
    ];
  });
  return { rows, held: isHeld(outcomes) };
}

const isSharp = ({ kind }: Outcome) => kind === "picture" || kind === "PDF";
const isWhole = ({ lost, surplus }: Outcome) => lost === 0 && surplus === 0;

function isHeld(outcomes: readonly Outcome[]): boolean {
  const perfect = outcomes.filter(({ manner }) => manner === "perfect");
  const isRead = (outcome: Outcome) => isWhole(outcome) && outcome.complete === true;
  const others = perfect.filter((outcome) => !isSharp(outcome));
  return (
    perfect.filter(isSharp).every(isRead) &&
    others.filter(isRead).length >= leastRead * others.length &&
    outcomes.every((outcome) => outcome.manner !== "drops" || outcome.complete === isWhole(outcome)) &&
    outcomes.every(({ surplus }) => surplus === 0)
  );
}
