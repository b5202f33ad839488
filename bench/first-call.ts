/**
 * `npm run bench -- first-call [--json]`: from a PDF's bytes to the first call to the model, which has the first page, in a warm
 * decoder: CPU of both processes and the time on the clock, for documents of more and more pages. Ends with 1 where the first
 * call waits for pages that are not in it.
 */
import { parseArgs } from "node:util";
import type * as Config from "#core/config";
import { Decoder } from "#core/document/decoder";
import * as Document from "#core/document/document";
import { perform } from "#core/reading/reading";
import * as Task from "#core/task/task";
import * as ModelServer from "#test/support/model-server/model-server";
import { lines, pages } from "#test/support/pdf";
import * as TestBucket from "#test/support/test-bucket";
import * as Figures from "./support/figures.ts";
import { cpuSeconds } from "./support/process.ts";

const counts = [1, 2, 10, 50];
const rounds = 9;
/** Of a document of 50 pages the table of pages is longer, and nothing else comes before the first call. */
const mostTimes = 1.5;

/** An A4 page of 40 lines. */
const page = (number: number) => ({
  content: lines(Array.from({ length: 40 }, (_, line) => `Page ${number} item ${line} of an invoice 12.50`)),
  box: "0 0 595 842",
});

interface Measured {
  cpuMs: number;
  ms: number;
}

/** What the first call takes. The test's own server is in this process, too. */
async function measured(
  bytes: Uint8Array,
  { model, decoder }: { model: ModelServer.ModelServer; decoder: Decoder },
): Promise<Measured> {
  const task = Task.get("invoice_v1");
  if (task === undefined) throw new Error("no such task");
  const server: Config.Model = {
    ...{ baseUrl: model.url, apiKey: undefined, model: "scripted-model", maxImages: 1, look: true },
    ...{ connectTimeoutMs: 5_000, readTimeoutMs: 60_000, maxModelLen: 16_384, maxTokens: undefined },
  };
  const stop = new AbortController();
  const [at, own, ofDecoder] = [performance.now(), process.cpuUsage(), cpuSeconds(decoder.pid)];
  let found: Measured | undefined;
  model.respond = () => {
    const { user, system } = process.cpuUsage(own);
    const cpuMs = (user + system) / 1_000 + (cpuSeconds(decoder.pid) - ofDecoder) * 1_000;
    found ??= { cpuMs, ms: performance.now() - at };
    stop.abort();
    return { kind: "hang" };
  };
  const document = await Document.open(bytes, { decoder });
  await perform(server, {
    ...{ task, document, pages: Array.from({ length: document.pages }, (_, index) => index + 1) },
    ...{ createdAt: new Date(), requestId: "r", log: TestBucket.silent, signal: stop.signal },
    deadline: Date.now() + 60_000,
  });
  if (found === undefined) throw new Error("the model was not called");
  return found;
}

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { json: { type: "boolean", default: false } } });
  const model = await ModelServer.start({ maxModelLen: 16_384 });
  const decoder = new Decoder();
  const files = counts.map((count) => pages(Array.from({ length: count }, (_, index) => page(index + 1))));
  const found = files.map((): Measured[] => []);
  try {
    // The first documents warm the decoder up.
    for (let round = 0; round <= rounds; round += 1)
      for (const [i, bytes] of files.entries()) {
        const one = await measured(bytes, { model, decoder });
        if (round > 0) found[i]?.push(one);
      }
  } finally {
    decoder.end();
    await model.close();
  }
  const medians = found.map((each) => ({
    cpuMs: Figures.median(each.map(({ cpuMs }) => cpuMs)),
    ms: Figures.median(each.map(({ ms }) => ms)),
  }));
  const rows = medians.map(({ cpuMs, ms }, i) => [
    ...[counts[i] ?? 0, Figures.round(cpuMs), Figures.round(ms)],
  ]);
  const head = ["pages", "CPU ms to the first call", "ms by the clock"];
  process.stdout.write(values.json ? `${JSON.stringify(medians)}\n` : `${Figures.table(head, rows)}\n`);
  return Math.max(...medians.map(({ cpuMs }) => cpuMs)) <= mostTimes * (medians[0]?.cpuMs ?? 0) ? 0 : 1;
}
