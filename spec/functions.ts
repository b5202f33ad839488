/**
 * The table of functions. A new function is an entry here, with its routes in routes.ts or its queue in queues.ts; SST, the
 * local loop, bundles, rights and alarms follow from it. A module without imports, so that `npm run dev` can load it anew.
 */

/**
 * The queues by name; queues.ts has one entry for each, and imports this table.
 */
export type QueueName = "plan" | "item" | "single" | "later" | "urgent";

/** What a function may be linked to. */
export type Link = "database" | "bucket" | "queues" | "model" | "webhook" | "pod";

/** How a function is sized and what it may use. `infra/` makes links and IAM statements of it, the loop refuses the rest. */
export interface FunctionSpec {
  readonly handler: string;
  readonly memoryMb: number;
  readonly timeoutMs: number;
  readonly links: readonly Link[];
  /** Packages with native parts, which are installed beside the bundle instead of into it. */
  readonly install?: readonly string[];
  /** Queues that it sends to. Which queues it works on follows from queues.ts. */
  readonly sends?: readonly QueueName[];
  /** Queues whose state it asks for. */
  readonly asks?: readonly QueueName[];
  /** Its calls ask the model server for an answer, and so take the time of one. */
  readonly asksModel?: true;
  /** It answers `/docs`, whose files are stored beside its bundle. */
  readonly pages?: true;
  /**
   * Most kB (1,000 bytes) of its minified bundle that a cold start loads; what an `import()` asks for is loaded later. It
   * is a little above the present size, so that a package added by accident fails a test. The aim is 800 without pictures,
   * 350 without S3 and SQS.
   */
  readonly maxBundleKb?: number;
}

/** An HTTP function ends before the gateway gives up at 30 s, so that the answer is ours. */
const httpTimeoutMs = 29_000;

/** Time for a function behind a queue that works in steps, each of which orders the next. */
const queueFunctionTimeoutMs = 120_000;

/**
 * Time for one picture behind a queue. A receipt of 300 lines is an answer of 8,000 to 10,000 tokens, which take four
 * minutes at 40 tokens a second. The worker holds message and row for `times().leaseMs` at a time, so that the death of a
 * worker costs less than that.
 */
const pictureTimeoutMs = 300_000;

/**
 * No invocation that read a picture before its extract or run was deleted is still running after this. What it wrote in
 * the meantime is removed then.
 */
export const lateWriterMs = 3 * pictureTimeoutMs;

/** Every deployed function. Memory and time are reasoned at each; a handler is a file below `functions/`. */
export const functions = {
  // Probes all dependencies at once, each for 2 s at most. 512 MB here and below: Lambda gives CPU in proportion to memory,
  // and a cold start loads three clients; none of them needs the memory itself.
  system: {
    handler: "functions/api/system.handler",
    memoryMb: 512,
    timeoutMs: 10_000,
    links: ["database", "bucket", "queues", "model"],
    // /readyz asks whether the queues answer.
    asks: ["single"],
    maxBundleKb: 700,
  },
  // Keys and tasks: one SQL read at most, 8 s if the database is slow.
  catalog: {
    handler: "functions/api/catalog.handler",
    memoryMb: 512,
    timeoutMs: 10_000,
    links: ["database"],
    maxBundleKb: 350,
  },
  // Decodes pictures: 1,769 MB is where Lambda gives one whole vCPU.
  extract: {
    handler: "functions/api/extract.handler",
    memoryMb: 1769,
    timeoutMs: httpTimeoutMs,
    links: ["database", "bucket", "queues", "model"],
    install: ["sharp"],
    sends: ["single", "urgent"],
    asksModel: true,
    maxBundleKb: 1330,
  },
  // Announces uploads: a signature and two SQL round trips at most.
  uploads: {
    handler: "functions/api/uploads.handler",
    memoryMb: 512,
    timeoutMs: 10_000,
    links: ["database", "bucket"],
    maxBundleKb: 700,
  },
  // Answers polls: one SQL read, and one object when the answer is not in the row. The time allows for one slow read.
  extracts: {
    handler: "functions/api/extracts.handler",
    memoryMb: 512,
    timeoutMs: 15_000,
    links: ["database", "bucket"],
    maxBundleKb: 720,
  },
  // Accepts batches: looks up to 1,000 pictures up in the bucket, lists a folder of 10,000, stores a multipart body.
  batch: {
    handler: "functions/api/batch.handler",
    memoryMb: 1024,
    timeoutMs: httpTimeoutMs,
    // A webhook_url is refused when no signing secret is set.
    links: ["database", "bucket", "queues", "webhook"],
    sends: ["plan", "urgent"],
    maxBundleKb: 804,
  },
  // Reads runs and their items; deletes up to 1,000 items' objects at once.
  runs: {
    handler: "functions/api/runs.handler",
    memoryMb: 512,
    timeoutMs: httpTimeoutMs,
    links: ["database", "bucket", "queues"],
    sends: ["plan", "urgent"],
    maxBundleKb: 800,
  },
  // Reads up to 100 MiB of labels as a stream and writes them down: a whole vCPU, for it is parsing.
  groundTruths: {
    handler: "functions/api/ground-truths.handler",
    memoryMb: 1769,
    timeoutMs: httpTimeoutMs,
    links: ["database", "bucket"],
    maxBundleKb: 800,
  },
  // Orders evaluations and reads them: an artifact of some hundred kilobytes at most.
  evals: {
    handler: "functions/api/evals.handler",
    memoryMb: 512,
    timeoutMs: httpTimeoutMs,
    links: ["database", "bucket", "queues"],
    sends: ["later"],
    maxBundleKb: 800,
  },
  // One SQL read.
  usage: {
    handler: "functions/api/usage.handler",
    memoryMb: 512,
    timeoutMs: 10_000,
    links: ["database"],
    maxBundleKb: 350,
  },
  // Checks manifests, keeps the windows of runs filled, writes their results. A step holds a part of 8 MiB and some
  // hundreds of rows, and orders the next step before its time is over.
  plan: {
    handler: "functions/queue/plan.handler",
    memoryMb: 512,
    timeoutMs: queueFunctionTimeoutMs,
    links: ["database", "bucket", "queues"],
    sends: ["plan", "urgent", "later"],
    maxBundleKb: 852,
  },
  // One picture of a run: decodes it like `extract`.
  item: {
    handler: "functions/queue/item.handler",
    memoryMb: 1769,
    timeoutMs: pictureTimeoutMs,
    links: ["database", "bucket", "queues", "model"],
    install: ["sharp"],
    sends: ["plan", "item", "urgent"],
    maxBundleKb: 1280,
  },
  // Ends the work of messages that were received too often. It acts only after a successful read, and leaves sending
  // items to the planner.
  deadLetter: {
    handler: "functions/queue/dead-letter.handler",
    memoryMb: 512,
    timeoutMs: 60_000,
    links: ["database", "bucket", "queues"],
    sends: ["plan", "urgent"],
    maxBundleKb: 720,
  },
  // Answers files that are stored beside its bundle, the largest 1.4 MB. It waits for no other service, so 256 MB suffice.
  docs: {
    handler: "functions/api/docs.handler",
    memoryMb: 256,
    timeoutMs: 5_000,
    links: [],
    pages: true,
    maxBundleKb: 200,
  },
  // Queued extracts: decodes pictures like `extract`, with more time for the model.
  single: {
    handler: "functions/queue/single.handler",
    memoryMb: 1769,
    timeoutMs: pictureTimeoutMs,
    links: ["database", "bucket", "queues", "model"],
    install: ["sharp"],
    sends: ["single", "urgent"],
    maxBundleKb: 1260,
  },
  // Repairs rows, messages and inputs that no worker holds, once a minute. It ends before its next call begins.
  reconcile: {
    handler: "functions/cron/reconcile.handler",
    memoryMb: 512,
    timeoutMs: 50_000,
    links: ["database", "bucket", "queues", "model"],
    // Tells a message that waits in a queue from one that was lost.
    asks: ["plan", "item", "single", "urgent"],
    sends: ["plan", "item", "single", "later", "urgent"],
    maxBundleKb: 820,
  },
  // Lists and reads artifacts; packs up to 16 MiB of them at once.
  debug: {
    handler: "functions/api/debug.handler",
    memoryMb: 512,
    timeoutMs: httpTimeoutMs,
    links: ["database", "bucket", "queues"],
    sends: ["later"],
    maxBundleKb: 800,
  },
  // Makes large backups in steps and calls webhooks. A step of a backup holds some parts of 8 MiB.
  later: {
    handler: "functions/queue/later.handler",
    memoryMb: 512,
    timeoutMs: queueFunctionTimeoutMs,
    links: ["database", "bucket", "queues", "webhook"],
    sends: ["later"],
    maxBundleKb: 800,
  },
  // Short steps only: fills a run's window, ends the items of a canceled run, probes the model server and sends the work
  // that waited for it. None of them needs the bucket.
  urgent: {
    handler: "functions/queue/urgent.handler",
    memoryMb: 512,
    timeoutMs: 60_000,
    links: ["database", "queues", "model"],
    sends: ["plan", "item", "single", "urgent"],
    maxBundleKb: 700,
  },
  // Unknown paths, wrong methods, CORS preflight.
  fallback: {
    handler: "functions/api/fallback.handler",
    memoryMb: 256,
    timeoutMs: 5_000,
    links: [],
    maxBundleKb: 180,
  },
} as const satisfies Record<string, FunctionSpec>;

export type FunctionName = keyof typeof functions;
