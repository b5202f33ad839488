/**
 * The table of functions: a new one is its entry here, with its routes in routes.ts or its queue in queues.ts. SST, the
 * local loop, the bundles, the rights and the alarms follow from it. A module without imports: `npm run dev` loads it anew.
 */

/** The queues of queues.ts, whose table has exactly these names. */
export type WorkQueue = "plan" | "item" | "single" | "later" | "urgent";

/** How a function is sized. `links` says what it may touch; infra turns that into links and IAM statements. */
export interface FunctionSpec {
  readonly handler: string;
  readonly memoryMb: number;
  readonly timeoutMs: number;
  readonly links: readonly Link[];
  /** Packages with native parts, which are installed beside the bundle instead of into it. */
  readonly install?: readonly string[];
  /** Queues that it sends to, and those whose state it asks for: what IAM allows. What it works on follows from queues.ts. */
  readonly sends?: readonly WorkQueue[];
  readonly asks?: readonly WorkQueue[];
  /** Answers what `/docs` is made of, which lies beside its bundle. */
  readonly pages?: true;
  /**
   * Most kB (1,000 bytes) of its minified bundle that a cold start has to load (what an `import()` asks for is loaded
   * later): a little above what it is, so that a package which comes along unnoticed fails a test. The aim is 800
   * without pictures, 350 without S3 and SQS.
   */
  readonly maxBundleKb?: number;
}
export type Link = "database" | "bucket" | "queues" | "model" | "webhook" | "pod";

/** An HTTP function ends before the gateway gives up at 30 s, so that the answer is ours. */
const httpTimeoutMs = 29_000;

/** Time for a function behind a queue that works in steps and hands over to its next one. */
const queueFunctionTimeoutMs = 120_000;

/**
 * Time for one picture behind a queue: a receipt of 300 lines is an answer of 8,000 to 10,000 tokens, four minutes at 40
 * tokens a second. Its worker holds message and row for `times().leaseMs` at a time, so that a kill does not cost as long.
 */
export const pictureTimeoutMs = 300_000;

/** Every HTTP function, named by its file in functions/api. */
export const functions = {
  // Probes each dependency for 2 s at most, side by side. 512 MB here and below: a cold start is a matter of CPU, of
  // which there is as much as memory, and three clients are loaded; none of them needs the memory itself.
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
  // Polls: one SQL read, and one object when the answer is not in the row. Enough for one of them to be slow.
  extracts: {
    handler: "functions/api/extracts.handler",
    memoryMb: 512,
    timeoutMs: 15_000,
    links: ["database", "bucket"],
    maxBundleKb: 720,
  },
  // Takes batches in: up to 1,000 pictures looked up in the bucket, a folder of 10,000 listed, a multipart body stored.
  batch: {
    handler: "functions/api/batch.handler",
    memoryMb: 1024,
    timeoutMs: httpTimeoutMs,
    // A webhook_url is refused where there is nothing to sign with.
    links: ["database", "bucket", "queues", "webhook"],
    sends: ["plan", "urgent"],
    maxBundleKb: 800,
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
  // One SQL read.
  usage: {
    handler: "functions/api/usage.handler",
    memoryMb: 512,
    timeoutMs: 10_000,
    links: ["database"],
    maxBundleKb: 350,
  },
  // Checks manifests, keeps the windows of runs filled, writes their results: a step holds a part of 8 MiB and some
  // hundreds of rows, and hands over to the next before its time is over.
  plan: {
    handler: "functions/queue/plan.handler",
    memoryMb: 512,
    timeoutMs: queueFunctionTimeoutMs,
    links: ["database", "bucket", "queues"],
    sends: ["plan", "urgent", "later"],
    maxBundleKb: 840,
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
  // Messages that were received a hundred times in vain. It acts only after a successful read, and leaves sending items
  // to the planner.
  deadLetter: {
    handler: "functions/queue/dead-letter.handler",
    memoryMb: 512,
    timeoutMs: 60_000,
    links: ["database", "bucket", "queues"],
    sends: ["plan", "urgent"],
    maxBundleKb: 720,
  },
  // Answers files that lie beside its bundle, the largest 1.4 MB: nothing is waited for and 256 MB are plenty.
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
  // Each minute, whatever nobody is holding: rows, messages, inputs. It ends before the next one begins.
  reconcile: {
    handler: "functions/cron/reconcile.handler",
    memoryMb: 512,
    timeoutMs: 50_000,
    links: ["database", "bucket", "queues", "model"],
    // Whether what nobody has taken is in line or lost.
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
  // Large backups step by step, calls webhooks. A step of a backup holds some parts of 8 MiB.
  later: {
    handler: "functions/queue/later.handler",
    memoryMb: 512,
    timeoutMs: queueFunctionTimeoutMs,
    links: ["database", "bucket", "queues", "webhook"],
    sends: ["later"],
    maxBundleKb: 800,
  },
  // Short steps alone: fills a run's window, ends a canceled run's items, looks for the model server and sends on its way
  // what waited for it. Nothing of it needs the bucket.
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
