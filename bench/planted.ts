/**
 * `npm run bench -- planted [--against DIR]`: the share of single wrong digits that the checks notice, over every
 * amount of labeled receipts (in ../shared, if it exists) and of made-up documents; the cost of each reason to give
 * no verdict; and the same for another checkout with its installed packages.
 */
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type * as Checks from "#core/canonical/checks/checks";
import { answerOf, documents } from "#core/canonical/checks/documents-for-tests";
import * as Labeled from "#core/canonical/checks/labeled-for-tests";
import { type Judge, type Tally, tally } from "#core/canonical/checks/planted-for-tests";
import type * as Normalize from "#core/canonical/normalize";
import type * as Task from "#core/task/task";
import * as Figures from "./support/figures.ts";

async function load(root: string): Promise<Judge> {
  const from = async <T>(path: string) => (await import(pathToFileURL(join(root, path)).href)) as T;
  const { normalize } = await from<typeof Normalize>("core/canonical/normalize.ts");
  const tasks = await from<typeof Task>("core/task/task.ts");
  return { tasks, checks: await from<typeof Checks>("core/canonical/checks/checks.ts"), normalize };
}

function groups(): Map<string, Labeled.Document[]> {
  const madeUp = documents.map((each) => ({ name: each.kind, taskId: each.taskId, answer: answerOf(each) }));
  const all = new Map([["made-up documents", madeUp]]);
  if (!Labeled.isPresent) return all;
  return all.set("labeled receipts", Labeled.documents()).set("answers of models", Labeled.answered());
}

const percent = (part: number, whole: number) => Figures.round((100 * part) / Math.max(1, whole), 1);

export async function run(args: string[]): Promise<number> {
  const options = { json: { type: "boolean", default: false }, against: { type: "string" } } as const;
  const { values } = parseArgs({ args, options });
  const own = await load(resolve(import.meta.dirname, ".."));
  const other = values.against === undefined ? undefined : await load(resolve(values.against));
  const results = [...groups()].map(([name, all]) => ({
    name,
    ours: tally(all, own),
    theirs: other && tally(all, other),
  }));
  const cells = ({ planted, noticed, falseAlarms }: Tally) => [percent(noticed, planted), falseAlarms.length];
  if (values.json) {
    const written = (each: Tally | undefined) => each && { ...each, lost: Object.fromEntries(each.lost) };
    const figures = results.map(({ name, ours, theirs }) => ({
      name,
      ours: written(ours),
      theirs: written(theirs),
    }));
    process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);
    return 0;
  }
  const head = ["", "planted", "noticed %", "false alarms", "other's noticed %", "other's false alarms"];
  const rows = results.map(({ name, ours, theirs }) => [
    name,
    ours.planted,
    ...cells(ours),
    ...(theirs ? cells(theirs) : ["-", "-"]),
  ]);
  process.stdout.write(`${Figures.table(head, rows)}\n\n`);
  const reasons = new Set(results.flatMap(({ ours }) => [...ours.lost.keys()]));
  const lost = [...reasons]
    .sort()
    .map((reason) => [
      reason,
      ...results.map(({ ours }) => percent(ours.lost.get(reason) ?? 0, ours.planted)),
    ]);
  process.stdout.write(
    `${Figures.table(["not noticed, left out by", ...results.map(({ name }) => `${name} %`)], lost)}\n`,
  );
  return 0;
}
