import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Answer, Order } from "#local/model/ocr-messages";
import type { Page } from "#local/model/rules/page";

/** The request asks for something that cannot be read: HTTP 400, with this text. */
export class BadPicture extends Error {}

/** The pictures alone need more tokens than the context has left. */
export class TooLong extends Error {
  readonly imageTokens: number;

  constructor(imageTokens: number) {
    super("The pictures are too long for the context.");
    this.imageTokens = imageTokens;
  }
}

interface Reading {
  pages: Page[];
  imageTokens: number;
}

export interface OcrQueue {
  /**
   * Reads all pictures of one request. Requests wait for each other, first come, first served. An aborted signal
   * removes a waiting request from the queue and stops a running one between two lines of text. Throws BadPicture,
   * TooLong, the signal's reason, or Error if the engine failed.
   */
  read(pictures: Uint8Array[], maxImageTokens: number, signal: AbortSignal): Promise<Reading>;
  /** Ends the process and fails all waiting requests. */
  close(): Promise<void>;
  stats(): OcrStats;
}

export interface OcrStats {
  /** Undefined while the engine sleeps. */
  pid: number | undefined;
  starts: number;
  waiting: number;
  running: number;
  /** Highest resident memory that a process of the engine reached. */
  maxRssBytes: number;
}

interface Job {
  id: number;
  pictures: Uint8Array[];
  maxImageTokens: number;
  signal: AbortSignal;
  resolve(reading: Reading): void;
  reject(error: unknown): void;
}

/** A picture takes seconds; an engine that is silent for this long is stuck. */
const HANG_MS = 120_000;
const EXIT_GRACE_MS = 2_000;

/** The queue in front of the one OCR process: started by the first picture, ended after `idleSleepMs` without one. */
export function create(options: { idleSleepMs: number; log: (line: string) => void }): OcrQueue {
  const queue = new ProcessQueue(options.idleSleepMs, options.log);
  return {
    read: (...wanted) => queue.read(...wanted),
    close: () => queue.close(),
    stats: () => queue.stats(),
  };
}

class ProcessQueue implements OcrQueue {
  readonly #idleSleepMs: number;
  readonly #log: (line: string) => void;
  readonly #waiting: Job[] = [];
  #running: Job | undefined;
  #child: ChildProcess | undefined;
  #closed = false;
  #nextId = 1;
  #starts = 0;
  #maxRssBytes = 0;
  #idleTimer: NodeJS.Timeout | undefined;
  #hangTimer: NodeJS.Timeout | undefined;

  constructor(idleSleepMs: number, log: (line: string) => void) {
    this.#idleSleepMs = idleSleepMs;
    this.#log = log;
  }

  read(
    pictures: Job["pictures"],
    maxImageTokens: Job["maxImageTokens"],
    signal: AbortSignal,
  ): Promise<Reading> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new Error("The model server is closing.");
      signal.throwIfAborted();
      const job: Job = { id: this.#nextId++, pictures, maxImageTokens, signal, resolve, reject };
      this.#waiting.push(job);
      signal.addEventListener(
        "abort",
        () => {
          const position = this.#waiting.indexOf(job);
          if (position >= 0) this.#waiting.splice(position, 1);
          else if (this.#running === job) this.#order({ kind: "cancel", id: job.id });
          reject(signal.reason);
        },
        { once: true },
      );
      this.#next();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idleTimer);
    clearTimeout(this.#hangTimer);
    const last = this.#child;
    this.#child = undefined;
    for (const job of [this.#running, ...this.#waiting.splice(0)])
      job?.reject(new Error("The model server is closing."));
    this.#running = undefined;
    if (last) await end(last);
  }

  stats(): ReturnType<OcrQueue["stats"]> {
    return {
      pid: this.#child?.pid,
      starts: this.#starts,
      waiting: this.#waiting.length,
      running: this.#running ? 1 : 0,
      maxRssBytes: this.#maxRssBytes,
    };
  }

  #start(): ChildProcess {
    this.#starts += 1;
    const startedAt = performance.now();
    const started = fork(fileURLToPath(new URL("./ocr-process.ts", import.meta.url)), [], {
      serialization: "advanced",
      // Without the parent's options: a debugger port or a test runner's loader is not for the engine.
      execArgv: ["--disable-warning=ExperimentalWarning"],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    started.on("message", (answer: Answer) => {
      if (answer.kind === "ready") {
        this.#log(`ocr process ${started.pid} ready after ${Math.round(performance.now() - startedAt)} ms`);
      } else if (answer.id === this.#running?.id) {
        this.#settle(answer);
      }
    });
    started.on("error", (error) => this.#gone(started, `cannot be started: ${error.message}`));
    started.on("exit", (code, signal) =>
      this.#gone(started, `ended unexpectedly (${signal ?? `exit status ${code}`})`),
    );
    return started;
  }

  #gone(which: ChildProcess, why: string): void {
    if (which !== this.#child) return;
    this.#child = undefined;
    this.#log(`ocr process ${which.pid} ${why}`);
    this.#finish((job) => job.reject(new Error(`The OCR process ${why}.`)));
  }

  #settle(answer: Exclude<Answer, { kind: "ready" }>): void {
    if (answer.kind === "pages") this.#maxRssBytes = Math.max(this.#maxRssBytes, answer.maxRssBytes);
    this.#finish((job) => {
      if (answer.kind === "pages") job.resolve({ pages: answer.pages, imageTokens: answer.imageTokens });
      else if (answer.kind === "bad_picture") job.reject(new BadPicture(answer.message));
      else if (answer.kind === "too_long") job.reject(new TooLong(answer.imageTokens));
      else job.reject(job.signal.aborted ? job.signal.reason : new Error(answer.message));
    });
  }

  #finish(endJob: (job: Job) => void): void {
    clearTimeout(this.#hangTimer);
    const job = this.#running;
    this.#running = undefined;
    if (job) endJob(job);
    this.#next();
  }

  #next(): void {
    if (this.#running || this.#closed) return;
    this.#running = this.#waiting.shift();
    if (!this.#running) {
      this.#idleTimer = setTimeout(() => this.#sleep(), this.#idleSleepMs).unref();
      return;
    }
    clearTimeout(this.#idleTimer);
    this.#child ??= this.#start();
    const { id, pictures, maxImageTokens } = this.#running;
    this.#order({ kind: "read", id, pictures, maxImageTokens });
    this.#hangTimer = setTimeout(() => this.#child?.kill("SIGKILL"), HANG_MS).unref();
  }

  #order(message: Order): void {
    // The exit of the process reports a lost channel.
    this.#child?.send(message, () => {});
  }

  #sleep(): void {
    const idle = this.#child;
    if (this.#running || !idle) return;
    this.#log(`ocr process ${idle.pid} sleeps`);
    this.#child = undefined;
    void end(idle);
  }
}

/** Asks the process to end, and kills it when it is too busy to notice. Resolves when it has ended. */
function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), EXIT_GRACE_MS);
    child.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    if (child.connected) child.disconnect();
    else child.kill("SIGKILL");
  });
}
