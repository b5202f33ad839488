import { parseArgs } from "node:util";
import { Decoder } from "#core/document/decoder";
import * as Document from "#core/document/document";
import { AppError } from "#core/error";
import { guards } from "#spec/guards";
import { png } from "#test/support/picture-parts";
import * as Figures from "../support/figures.ts";
import { cpuSeconds, peakMb } from "../support/process.ts";
import { type Case, cases } from "./files.ts";

/*
 * `npm run bench -- guards [--only NAME] [--json]`: a file just above each guard, some just below, and what people send, each
 * opened, looked at and drawn once by a decoder of its own that has read a picture before. CPU is that of both processes
 * together. Ends with 1 when a bar of docs/documents.md is missed: a refusal takes at most 3 s of CPU, nothing more than
 * 1 GB, each file has the answer that it should, and the next one is read. Only Linux tells what a process uses.
 */

const bars = { refusedCpuS: 3, peakMb: guards.process.residentBytes / 1_000_000 };

interface Outcome {
  guard: string;
  what: string;
  expected: string;
  /** The error's reason or code; "" where the file was read. */
  answer: string;
  megabytes: number;
  openS: number;
  lookS: number;
  drawS: number;
  cpuS: number;
  peakMb: number;
  nextIsRead: boolean;
}

/** Measures and prints. Exit status 0; 1 for a missed bar. */
export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { json: { type: "boolean", default: false }, only: { type: "string", default: "" } },
  });
  const outcomes: Outcome[] = [];
  for (const each of cases()) {
    if (!`${each.guard} ${each.what}`.includes(values.only)) continue;
    outcomes.push(await outcomeOf(each));
    if (!values.json && !holds(outcomes.at(-1) as Outcome))
      process.stderr.write(`misses its bar: ${each.guard}, ${each.what}\n`);
  }
  process.stdout.write(values.json ? `${JSON.stringify(outcomes)}\n` : `${table(outcomes)}\n`);
  return outcomes.every(holds) ? 0 : 1;
}

const holds = (outcome: Outcome): boolean =>
  outcome.answer === outcome.expected &&
  outcome.nextIsRead &&
  outcome.peakMb <= bars.peakMb &&
  (outcome.expected === "" || outcome.cpuS <= bars.refusedCpuS);

async function outcomeOf({ guard, what, bytes: make, expected }: Case): Promise<Outcome> {
  const bytes = await make();
  const decoder = new Decoder();
  try {
    await nextIsRead(decoder);
    const meter = new Meter(decoder.pid);
    const answer = await read(bytes, decoder, meter).then(
      () => "",
      (error: unknown) => (error instanceof AppError ? (error.details?.reason ?? error.code) : String(error)),
    );
    const [openS = 0, lookS = 0, drawS = 0] = meter.end();
    const cpuS = Figures.round(openS + lookS + drawS, 2);
    return {
      ...{ guard, what, expected, answer, openS, lookS, drawS, cpuS },
      megabytes: Figures.round(bytes.length / 1e6, 1),
      peakMb: meter.peakMb,
      nextIsRead: await nextIsRead(decoder),
    };
  } finally {
    decoder.end();
  }
}

async function read(bytes: Uint8Array, decoder: Decoder, meter: Meter): Promise<void> {
  const { first } = await Document.open(bytes, { decoder });
  meter.next();
  const look = await Document.look(first);
  meter.next();
  await Document.prepare(first, { maxImageTokens: 4096, look });
}

async function nextIsRead(decoder: Decoder): Promise<boolean> {
  const { first } = await Document.open(png({ width: 40, height: 40 }), { decoder });
  return (await Document.prepare(first, { maxImageTokens: 256 })).width > 0;
}

/** CPU of this process and of a decoder's by steps, and the decoder's memory, read while it lives: a guard may end it. */
class Meter {
  readonly #pid: number | undefined;
  readonly #steps: number[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #own = process.cpuUsage();
  #decoder = 0;
  #before: number;
  peakMb = 0;

  constructor(pid: number | undefined) {
    this.#pid = pid;
    this.#decoder = cpuSeconds(pid);
    this.#before = this.#decoder;
    this.#timer = setInterval(() => this.#read(), 20);
  }

  #read(): number {
    // 0 from a process that has ended.
    this.#decoder = Math.max(this.#decoder, cpuSeconds(this.#pid));
    this.peakMb = Math.max(this.peakMb, peakMb(this.#pid));
    const { user, system } = process.cpuUsage(this.#own);
    return this.#decoder + (user + system) / 1e6;
  }

  next(): void {
    const now = this.#read();
    this.#steps.push(Figures.round(now - this.#before, 2));
    this.#before = now;
  }

  /** CPU seconds of each step. */
  end(): number[] {
    clearInterval(this.#timer);
    this.next();
    return this.#steps;
  }
}

const head = ["guard", "file", "MB", "answer", "CPU s: open", "look", "draw", "together", "peak MB"];

const table = (outcomes: readonly Outcome[]): string =>
  Figures.table(
    head,
    outcomes.map(({ guard, what, megabytes, answer, openS, lookS, drawS, cpuS, peakMb }) => [
      ...[guard, what, megabytes, answer === "" ? "read" : answer],
      ...[openS, lookS, drawS, cpuS, peakMb],
    ]),
  );
