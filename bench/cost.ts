/**
 * `npm run bench -- cost [--rate 0.5] [--receipts-per-hour 3600] [--model-seconds 3] [--json]`: dollars for 1,000 receipts,
 * by part, with the GPU at work for 10, 40 and 100 % of the time that it is paid for. Nothing is run: it is the formula of
 * docs/operate/cost.md with the prices of spec/prices.ts. What a receipt really cost is in `GET /v1/runs/{run_id}`.
 *
 * Exit status 1 if a number is not one that can be used.
 */
import { parseArgs } from "node:util";
import * as Parts from "#core/cost/parts";
import { readOn } from "#spec/prices";
import * as Figures from "./support/figures.ts";

const receipts = 1_000;
/** A picture of 1.5 MB as base64. */
const bodyBytes = 2_000_000;
const uses = [0.1, 0.4, 1] as const;

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      rate: { type: "string", default: "0.5" },
      "receipts-per-hour": { type: "string", default: "3600" },
      "model-seconds": { type: "string", default: "3" },
      json: { type: "boolean", default: false },
    },
  });
  const [rate, perHour, seconds] = [values.rate, values["receipts-per-hour"], values["model-seconds"]].map(
    Number,
  );
  if (
    ![rate, perHour, seconds].every((value) => value !== undefined && Number.isFinite(value) && value > 0)
  ) {
    process.stderr.write("--rate, --receipts-per-hour and --model-seconds are numbers above 0\n");
    return 1;
  }
  const work = { receipts, pages: receipts, modelMs: receipts * (seconds ?? 0) * 1_000 };
  const kinds = { batch: Parts.ofBatch(work), "single calls": Parts.ofCalls(work, bodyBytes) };
  const hours = receipts / (perHour ?? 1);
  const rows = Object.entries(kinds).flatMap(([kind, lines]) =>
    uses.map((use) => {
      const gpu = (hours * (rate ?? 0)) / use;
      const cloud = Parts.sumOf(lines);
      return { kind, use, busy: gpu * use, idle: gpu * (1 - use), lines, total: gpu + cloud };
    }),
  );
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ prices_read_on: readOn, rows })}\n`);
    return 0;
  }
  const parts = kinds.batch.map(({ part }) => part);
  const usd = (amount: number) => amount.toFixed(4);
  const cells = rows.map(({ kind, use, busy, idle, lines, total }) => [
    ...[kind, `${use * 100} %`, usd(busy), usd(idle)],
    ...parts.map((part) => usd(lines.find((line) => line.part === part)?.usd ?? 0)),
    usd(total),
  ]);
  const head = ["1,000 receipts as", "GPU at work", "GPU busy", "GPU idle", ...parts, "together"];
  process.stdout.write(
    `US dollars; ${values.rate} an hour of GPU, ${values["receipts-per-hour"]} receipts in it, ${values["model-seconds"]} s a call; list prices read on ${readOn}\n\n${Figures.table(head, cells)}\n`,
  );
  return 0;
}
