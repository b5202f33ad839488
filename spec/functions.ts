/**
 * The table of functions. A new function is an entry here, with its routes in routes.ts or its queue in queues.ts; SST, the
 * local loop, bundles, rights and alarms follow from it. This module has no imports, so that `npm run dev` can reload
 * it.
 */

/**
 * The queues by name; queues.ts has one entry for each, and imports this table.
 */
export type QueueName = "plan" | "item" | "single" | "later" | "urgent";

/** What a function may be linked to. */
export type Link = "database" | "bucket" | "queues" | "model" | "webhook" | "pod";

/**
 * A function's size and what it may use. `infra/` turns it into links and IAM statements; the local loop refuses
 * everything else.
 */
export interface FunctionSpec {
  readonly handler: string;
  readonly memoryMb: number;
  readonly timeoutMs: number;
  readonly links: readonly Link[];
  /**
   * Packages that are installed beside the bundle: sharp has native parts; the license of libheif-js (LGPL) demands
   * that it can be exchanged.
   */
  readonly install?: readonly string[];
  /** It reads PDFs: their decoder (spec/pdfium.ts) is stored beside its bundle. */
  readonly pdf?: true;
  /** Queues that it sends to. The queues that it consumes are in queues.ts. */
  readonly sends?: readonly QueueName[];
  /** Queues whose state it reads. */
  readonly asks?: readonly QueueName[];
  /** Its calls wait for the model server's answer, so they take as long. */
  readonly asksModel?: true;
  /** It serves `/docs`, whose files are stored beside its bundle. */
  readonly pages?: true;
  /**
   * The most kB (1,000 bytes) of its minified bundle that a cold start may load; what an `import()` loads later does
   * not count. It is slightly above the present size, so that a package added by accident fails a test. The aim is 800
   * without pictures, 350 without S3 and SQS.
   */
  readonly maxBundleKb?: number;
}

/**
 * An HTTP function ends before the gateway's limit of 30 s, so that the caller gets our error and not the gateway's.
 */
const httpTimeoutMs = 29_000;

/** Timeout of a queue function that works in steps, each of which orders the next. */
const queueFunctionTimeoutMs = 120_000;

/**
 * Timeout for one picture from a queue. The answer for a receipt of 300 lines has 8,000 to 10,000 tokens, which take
 * four minutes at 40 tokens a second. The worker holds the message and the row for `times().leaseMs` at a time, so a
 * worker that dies costs less than this timeout.
 */
const pictureTimeoutMs = 300_000;

/**
 * How long after the deletion of an extract or a run an invocation may still write for it. What it wrote until then is
 * removed afterwards.
 */
export const lateWriterMs = 3 * pictureTimeoutMs;

/**
 * Every deployed function. The comment on each says why it has this memory and timeout; a handler is a file below
 * `functions/`.
 */
export const functions = {
  // Probes all dependencies in parallel, each for at most 2 s. 512 MB here and below: Lambda gives CPU in proportion to
  // memory, and a cold start loads three clients; none of them needs the memory itself.
  system: {
    handler: "functions/api/system.handler",
    memoryMb: 512,
    timeoutMs: 10_000,
    links: ["database", "bucket", "queues", "model"],
    // /readyz asks whether the queues answer.
    asks: ["single"],
    maxBundleKb: 700,
  },
  // Keys and tasks: at most one SQL read; 8 s are enough for a slow database.
  catalog: {
    handler: "functions/api/catalog.handler",
    memoryMb: 512,
    timeoutMs: 10_000,
    links: ["database"],
    maxBundleKb: 350,
  },
  // Decodes pictures: at 1,769 MB Lambda gives one whole vCPU.
  extract: {
    handler: "functions/api/extract.handler",
    memoryMb: 1769,
    timeoutMs: httpTimeoutMs,
    links: ["database", "bucket", "queues", "model"],
    install: ["sharp", "libheif-js"],
    pdf: true,
    sends: ["single", "urgent"],
    asksModel: true,
    maxBundleKb: 956,
  },
  // Announces uploads: one signature and at most two SQL round trips.
  uploads: {
    handler: "functions/api/uploads.handler",
    memoryMb: 512,
    timeoutMs: 10_000,
    links: ["database", "bucket"],
    maxBundleKb: 704,
  },
  // Answers polls: one SQL read, and one object if the answer is not in the row. The timeout allows for one slow read.
  extracts: {
    handler: "functions/api/extracts.handler",
    memoryMb: 512,
    timeoutMs: 15_000,
    links: ["database", "bucket"],
    maxBundleKb: 720,
  },
  // Accepts batches: checks up to 1,000 pictures in the bucket, lists a folder of 10,000, stores a multipart body.
  batch: {
    handler: "functions/api/batch.handler",
    memoryMb: 1024,
    timeoutMs: httpTimeoutMs,
    // A webhook_url is refused when no signing secret is set.
    links: ["database", "bucket", "queues", "webhook"],
    sends: ["plan", "urgent"],
    maxBundleKb: 822,
  },
  // Reads runs and their items; deletes the objects of up to 1,000 items in one call.
  runs: {
    handler: "functions/api/runs.handler",
    memoryMb: 512,
    timeoutMs: httpTimeoutMs,
    links: ["database", "bucket", "queues"],
    sends: ["plan", "urgent"],
    maxBundleKb: 806,
  },
  // Reads and stores up to 100 MiB of labels as a stream: parsing takes a whole vCPU.
  groundTruths: {
    handler: "functions/api/ground-truths.handler",
    memoryMb: 1769,
    timeoutMs: httpTimeoutMs,
    links: ["database", "bucket"],
    maxBundleKb: 800,
  },
  // Starts and reads evaluations: an artifact of at most some hundred kilobytes. A report decodes up to 50 pictures.
  evals: {
    handler: "functions/api/evals.handler",
    memoryMb: 1769,
    timeoutMs: httpTimeoutMs,
    links: ["database", "bucket", "queues"],
    install: ["sharp", "libheif-js"],
    pdf: true,
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
  // Checks manifests, writes the results of runs and deletes runs. A step holds a part of 8 MiB and some hundred
  // rows, and orders the next step before its timeout.
  plan: {
    handler: "functions/queue/plan.handler",
    memoryMb: 512,
    timeoutMs: queueFunctionTimeoutMs,
    links: ["database", "bucket", "queues"],
    sends: ["plan", "urgent", "later"],
    maxBundleKb: 877,
  },
  // One picture of a run: decodes it like `extract`.
  item: {
    handler: "functions/queue/item.handler",
    memoryMb: 1769,
    timeoutMs: pictureTimeoutMs,
    links: ["database", "bucket", "queues", "model"],
    install: ["sharp", "libheif-js"],
    pdf: true,
    sends: ["plan", "item", "urgent"],
    maxBundleKb: 908,
  },
  // Ends the work of messages that were received too often. It acts only after a successful read, and the planner sends
  // the next items.
  deadLetter: {
    handler: "functions/queue/dead-letter.handler",
    memoryMb: 512,
    timeoutMs: 60_000,
    links: ["database", "bucket", "queues"],
    sends: ["plan", "urgent"],
    maxBundleKb: 720,
  },
  // Serves files that are stored beside its bundle, at most 1.4 MB each. It calls no other service, so 256 MB are
  // enough.
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
    install: ["sharp", "libheif-js"],
    pdf: true,
    sends: ["single", "urgent"],
    maxBundleKb: 872,
  },
  // Once a minute it repairs rows, messages and inputs that no worker holds. It ends before its next call begins.
  reconcile: {
    handler: "functions/cron/reconcile.handler",
    memoryMb: 512,
    timeoutMs: 50_000,
    links: ["database", "bucket", "queues", "model"],
    // To find out whether a message waits in the queue or was lost.
    asks: ["plan", "item", "single", "urgent"],
    sends: ["plan", "item", "single", "later", "urgent"],
    maxBundleKb: 840,
  },
  // Starts and stops the rented GPU; only with POD_MANAGER=on. It looks for 30 s while something is going on, and has time
  // for a slow answer and the first call to a model server behind that.
  pod: {
    handler: "functions/cron/pod.handler",
    memoryMb: 512,
    timeoutMs: 58_000,
    links: ["database", "queues", "model", "pod"],
    sends: ["urgent"],
    maxBundleKb: 640,
  },
  // Shows the pod and takes the operator's orders: one SQL round trip. It has no key of a provider.
  adminPod: {
    handler: "functions/api/pod.handler",
    memoryMb: 512,
    timeoutMs: 10_000,
    links: ["database"],
    maxBundleKb: 350,
  },
  // Lists and reads artifacts; packs up to 16 MiB of them in one call.
  debug: {
    handler: "functions/api/debug.handler",
    memoryMb: 512,
    timeoutMs: httpTimeoutMs,
    links: ["database", "bucket", "queues"],
    sends: ["later"],
    maxBundleKb: 800,
  },
  // Makes large backups and evaluations in steps, and calls webhooks. A step of a backup holds a few parts of 8 MiB.
  later: {
    handler: "functions/queue/later.handler",
    memoryMb: 512,
    timeoutMs: queueFunctionTimeoutMs,
    links: ["database", "bucket", "queues", "webhook"],
    sends: ["later"],
    maxBundleKb: 800,
  },
  // Short steps only: fills a run's window, ends the items of a canceled run, probes the model server and sends the
  // work that waited for it. No such step needs the bucket.
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
    maxBundleKb: 184,
  },
} as const satisfies Record<string, FunctionSpec>;

export type FunctionName = keyof typeof functions;
