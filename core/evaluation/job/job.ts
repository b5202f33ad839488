import { eq } from "drizzle-orm";
import * as Bucket from "#core/bucket/bucket";
import { gpuOf } from "#core/cost/gpu";
import * as Database from "#core/db/database";
import { AppError, from } from "#core/error";
import { type Comparison, compare } from "#core/evaluation/compare/compare";
import * as Layout from "#core/evaluation/compare/layout";
import * as Sheet from "#core/evaluation/compare/sheet";
import type { Log } from "#core/log";
import { documentsOf } from "#core/run/documents";
import * as Labels from "#core/run/labels";
import { type RunRow, runTable } from "#core/run/run.sql";
import type { Item } from "#core/run/schema";
import { dueDates } from "#core/task/due-dates";
import * as Task from "#core/task/task";
import * as Accumulator from "../accumulator.ts";
import type { Row } from "../evaluation.sql.ts";
import * as Evaluation from "../evaluation.ts";
import * as Place from "../place.ts";
import * as Rules from "../rules.ts";
import type * as Wire from "../wire.ts";
import * as Claim from "./claim.ts";
import { costOf } from "./cost.ts";
import * as Documents from "./documents.ts";
import { Unmatched } from "./unmatched.ts";

export interface Services extends Evaluation.Stores {
  bucket: Bucket.Bucket;
  version: string;
  gpuCostPerHour: number | undefined;
}

/** Documents per part: what is repeated when a step is killed. */
const partDocuments = 400;
/** Share of a step's time that is reserved for writing the figures and ordering the next step. */
const reserveShare = 0.4;
/** How often the progress within a part is stored for callers who poll. */
const tellEveryMs = 2_000;

/**
 * Does one bounded step of an evaluation and orders the next. When it returns, the message is done. A message for an
 * evaluation that has ended, is gone, or is held by another worker changes nothing. Memory holds the names of the run's
 * items, the counters, and the samples of one part.
 * @param context.deadline - epoch milliseconds by which the step must have ended; @param context.leaseUntil - when its
 *   worker has certainly ended.
 * @throws AppError that may be retried: deliver the message again then.
 */
export async function step(
  services: Services,
  message: Evaluation.Message,
  context: { deadline: number; leaseUntil: Date; log: Log; partDocuments?: number; tellEveryMs?: number },
): Promise<void> {
  const log = context.log.child({ eval_id: message.eval_id });
  const row = await Claim.claim(services.db, message.eval_id, context.leaseUntil);
  if (row === undefined) return;
  const now = Date.now();
  const until = context.deadline - (context.deadline - now) * reserveShare;
  const work = new Work(services, log, row, {
    until,
    size: context.partDocuments ?? partDocuments,
    tellEveryMs: context.tellEveryMs ?? tellEveryMs,
  });
  try {
    if ((await work.run()) === "done") return;
    await Claim.release(services.db, work.row);
    await Evaluation.send(services, row);
  } catch (thrown) {
    if (thrown instanceof Claim.Overtaken) return;
    const error = from(thrown);
    if (!error.retry) {
      await Claim.fail(services.db, work.row, error).catch(passOvertaken);
      log.info("evaluation_end", { status: "failed", code: error.code });
      return;
    }
    await Claim.release(services.db, work.row).catch(passOvertaken);
    throw error;
  }
}

function passOvertaken(thrown: unknown): void {
  if (!(thrown instanceof Claim.Overtaken)) throw thrown;
}

/** Limits of a step: when no further part is begun, the documents per part, and how often the progress is stored. */
interface Limits {
  until: number;
  size: number;
  tellEveryMs: number;
}

/** One step. */
class Work {
  readonly #services: Services;
  readonly #log: Log;
  readonly #limits: Limits;
  #toldAt = Date.now();
  /** The row as last written. */
  row: Row;

  constructor(services: Services, log: Log, row: Row, limits: Limits) {
    this.#services = services;
    this.#log = log;
    this.row = row;
    this.#limits = limits;
  }

  async run(): Promise<"done" | "more"> {
    const { bucket, db } = this.#services;
    const run = await runOf(db, this.row.runUid);
    const task = Task.get(this.row.taskId);
    if (run === undefined || task === undefined)
      throw gone(run === undefined ? "run_deleted" : "unknown_task");
    const labels = await Labels.labelsOf(this.#services, this.#log, {
      keyId: this.row.keyId,
      evaluateBy: this.row.labels,
    });
    if (labels === undefined) throw gone("gt_deleted");
    const lights = await Documents.lights(Documents.items(bucket, this.#log, run));
    const counted = await this.#counters(task);
    const unmatched = new Unmatched();
    const again = Documents.items(bucket, this.#log, run);
    const layout = Layout.of(task.fields);
    const circumstances = { createdAt: run.createdAt, dueDates: dueDates(task) };
    const part = new Part();
    for await (const joined of Documents.join(lights, labels.records(), again)) {
      if (joined.kind === "record") {
        unmatched.record({ index: joined.index, image: joined.image, reason: joined.unused });
        continue;
      }
      const { item, documents } = joined;
      const answers = documentsOf(item);
      const named = { index: item.index, file: item.file ?? item.custom_id };
      if (joined.without !== undefined) unmatched.item({ ...named, reason: joined.without });
      else
        for (const document of unlabeled(answers.length, documents))
          unmatched.document({ ...named, document });
      for (const { record } of documents) unmatched.unknown(Sheet.unknownLabels(layout, record.labels));
      if (item.index < this.row.progress.next) continue;
      for (const { document, record } of documents) {
        // Where the item is not as many documents, labels of further ones count as missing.
        const answer = answers[document - 1];
        const status = answer === undefined ? "failed" : predicted(answer.status);
        const prediction = { status, result: answer?.result ?? null };
        const options = { strMode: this.row.strMode, circumstances };
        const comparison = compare(task.fields, record.labels, prediction, options);
        part.add(counted, comparison, { item, document });
      }
      if (part.documents >= this.#limits.size) {
        await this.#save(part, counted, item.index + 1);
        if (Date.now() >= this.#limits.until) return "more";
      } else await this.#tell(item.index + 1);
    }
    await this.#save(part, counted, lights.length);
    if (Date.now() >= this.#limits.until) return "more";
    await this.#end(run, counted, unmatched.found, lights);
    return "done";
  }

  /** The counters of earlier steps. */
  async #counters(task: Task.Task): Promise<Accumulator.Accumulator> {
    const { carry } = this.row.progress;
    if (carry === null) return Accumulator.create(task.fields);
    const bytes = await Bucket.get(this.#services.bucket, this.#log, carry);
    if (bytes === undefined) throw gone("evaluation_deleted");
    const counted = Accumulator.restore(task.fields, JSON.parse(Buffer.from(bytes).toString("utf8")));
    if (counted !== undefined) return counted;
    // The code was deployed anew between two steps: the evaluation begins again, by the new code alone.
    this.row = { ...this.row, progress: { ...this.row.progress, next: 0, seen: 0, parts: [], carry: null } };
    return Accumulator.create(task.fields);
  }

  /** Stores the progress within the part at times. A later worker begins the part again. */
  async #tell(seen: number): Promise<void> {
    if (Date.now() - this.#toldAt < this.#limits.tellEveryMs) return;
    const { progress } = this.row;
    this.row = await Claim.update(this.#services.db, this.row, { progress: { ...progress, seen } });
    this.#toldAt = Date.now();
  }

  /** Stores the part and the counters, and then the progress. */
  async #save(part: Part, counted: Accumulator.Accumulator, next: number): Promise<void> {
    const { progress } = this.row;
    if (next === progress.next) return;
    const n = progress.parts.length;
    const parts = [...progress.parts];
    if (part.documents > 0) {
      const rel = Place.samples(this.row, n);
      await this.#put(rel, part.text, "application/x-ndjson");
      parts.push(rel);
    }
    const carry = Place.carry(this.row, n);
    await this.#put(carry, JSON.stringify(Accumulator.stateOf(counted)), "application/json");
    this.row = await Claim.update(this.#services.db, this.row, {
      progress: { ...progress, next, parts, carry },
    });
    part.clear();
  }

  async #put(rel: string, body: string, contentType: string): Promise<void> {
    // The name has the worker's token, so any object there is an earlier try of this worker.
    await Bucket.replace(this.#services.bucket, this.#log, rel, { body, contentType });
  }

  async #end(
    run: RunRow,
    counted: Accumulator.Accumulator,
    unmatched: Wire.Unmatched,
    lights: readonly Documents.Light[],
  ): Promise<void> {
    const { bucket, db, version, gpuCostPerHour } = this.#services;
    const { of } = await import("../figures.ts");
    const { summary, fields, slices } = of(counted);
    const rel = Place.artifact(this.row);
    const ended: Row = {
      ...this.row,
      ...{ state: "succeeded", finishedAt: new Date(), version, rulesVersion: Rules.version },
      ...{ summary, artifactRel: rel },
    };
    const documentsRight = summary.canonical.documents_right;
    const evaluation: Wire.Evaluation = {
      ...Evaluation.entry(ended),
      ...{ fields, slices, unmatched },
      cost: costOf(run, lights, { gpu: await gpuOf(db, run, gpuCostPerHour), documentsRight }),
      ambiguous_labels: counted.ambiguous,
      samples_ref: this.row.progress.parts,
    };
    await Bucket.replace(bucket, this.#log, rel, {
      body: `${JSON.stringify(evaluation, null, 1)}\n`,
      contentType: "application/json",
    });
    const { state, finishedAt, rulesVersion, artifactRel } = ended;
    await Claim.update(db, this.row, { state, finishedAt, version, rulesVersion, summary, artifactRel });
    const { carry } = this.row.progress;
    if (carry !== null) await Bucket.remove(bucket, this.#log, carry);
    this.#log.info("evaluation_end", { status: "succeeded", documents: summary.documents });
  }
}

/** Samples that are not stored yet. */
class Part {
  #lines: string[] = [];

  get documents(): number {
    return this.#lines.length;
  }

  get text(): string {
    return this.#lines.join("");
  }

  clear(): void {
    this.#lines = [];
  }

  add(
    counted: Accumulator.Accumulator,
    comparison: Comparison,
    { item, document }: { item: Item; document: number },
  ): void {
    const vector = Accumulator.add(counted, comparison, Documents.aboutOf(item));
    const empty = comparison.lists.flatMap(({ path, expected }) => (expected === 0 ? [path] : []));
    const sample: Wire.Sample = {
      index: item.index,
      document,
      ...{ file: item.file, custom_id: item.custom_id, request_id: item.request_id },
      answered: comparison.answered,
      right: Accumulator.isRight(vector, "canonical"),
      right_exact: Accumulator.isRight(vector, "exact"),
      ...(empty.length > 0 ? { empty_lists: empty } : {}),
      verdicts: comparison.verdicts,
    };
    this.#lines.push(`${JSON.stringify(sample)}\n`);
  }
}

const gone = (reason: "run_deleted" | "unknown_task" | "gt_deleted" | "evaluation_deleted") =>
  new AppError("not_found", "the run or its labels are gone", { details: { reason } });

/** The numbers of an item's documents, from 1, that no record labels. */
function unlabeled(count: number, labeled: readonly { document: number }[]): number[] {
  const known = new Set(labeled.map(({ document }) => document));
  return Array.from({ length: count }, (_, at) => at + 1).filter((document) => !known.has(document));
}

/** The status of an item. All items of an ended run have ended. */
const predicted = (status: string): "succeeded" | "failed" | "canceled" =>
  status === "succeeded" || status === "canceled" ? status : "failed";

async function runOf(db: Database.Db, runUid: string): Promise<RunRow | undefined> {
  const rows = await Database.read(db.query.select().from(runTable).where(eq(runTable.runUid, runUid)));
  const state = rows[0]?.state;
  return state === "deleted" || state === "deleting" ? undefined : rows[0];
}
