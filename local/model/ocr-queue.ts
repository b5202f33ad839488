import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Answer, Order } from "#local/model/ocr-messages";
import type { Page } from "#local/model/rules/page";

/** The request asks for something that cannot be read: HTTP 400, with this text. */
export class BadPicture extends Error {}

/** The pictures alone are longer than what the context has left. */
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
   * Reads all pictures of one request. Requests wait for each other, first come, first served. An aborted
   * signal takes a waiting request out of the queue and stops a running one between two lines of text.
   * Throws BadPicture, TooLong, the signal's reason, or Error when the engine failed.
   */
  read(pictures: Uint8Array[], maxImageTokens: number, signal: AbortSignal): Promise<Reading>;
  /** Ends the process and fails whatever waits. */
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

/** A picture takes seconds; an engine that is silent for this long hangs. */
const HANG_MS = 120_000;
const EXIT_GRACE_MS = 2_000;

/** The queue in front of the one OCR process: started by the first picture, ended after `idleSleepMs` of rest. */
export function create(options: { idleSleepMs: number; log: (line: string) => void }): OcrQueue {
  const waiting: Job[] = [];
  let running: Job | undefined;
  let child: ChildProcess | undefined;
  let closed = false;
  let nextId = 1;
  let starts = 0;
  let maxRssBytes = 0;
  let idleTimer: NodeJS.Timeout | undefined;
  let hangTimer: NodeJS.Timeout | undefined;

  function start(): ChildProcess {
    starts += 1;
    const startedAt = performance.now();
    const started = fork(fileURLToPath(new URL("./ocr-process.ts", import.meta.url)), [], {
      serialization: "advanced",
      // Not the parent's: a debugger port or a test runner's loader is not for the engine.
      execArgv: ["--disable-warning=ExperimentalWarning"],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    started.on("message", (answer: Answer) => {
      if (answer.kind === "ready") {
        options.log(`ocr process ${started.pid} ready after ${Math.round(performance.now() - startedAt)} ms`);
      } else if (answer.id === running?.id) {
        settle(answer);
      }
    });
    started.on("error", (error) => gone(started, `cannot be started: ${error.message}`));
    started.on("exit", (code, signal) =>
      gone(started, `ended unexpectedly (${signal ?? `exit status ${code}`})`),
    );
    return started;
  }

  function gone(which: ChildProcess, why: string): void {
    if (which !== child) return;
    child = undefined;
    options.log(`ocr process ${which.pid} ${why}`);
    finish((job) => job.reject(new Error(`The OCR process ${why}.`)));
  }

  function settle(answer: Exclude<Answer, { kind: "ready" }>): void {
    if (answer.kind === "pages") maxRssBytes = Math.max(maxRssBytes, answer.maxRssBytes);
    finish((job) => {
      if (answer.kind === "pages") job.resolve({ pages: answer.pages, imageTokens: answer.imageTokens });
      else if (answer.kind === "bad_picture") job.reject(new BadPicture(answer.message));
      else if (answer.kind === "too_long") job.reject(new TooLong(answer.imageTokens));
      else job.reject(job.signal.aborted ? job.signal.reason : new Error(answer.message));
    });
  }

  function finish(end: (job: Job) => void): void {
    clearTimeout(hangTimer);
    const job = running;
    running = undefined;
    if (job) end(job);
    next();
  }

  function next(): void {
    if (running || closed) return;
    running = waiting.shift();
    if (!running) {
      idleTimer = setTimeout(sleep, options.idleSleepMs).unref();
      return;
    }
    clearTimeout(idleTimer);
    child ??= start();
    const { id, pictures, maxImageTokens } = running;
    order({ kind: "read", id, pictures, maxImageTokens });
    hangTimer = setTimeout(() => child?.kill("SIGKILL"), HANG_MS).unref();
  }

  function order(message: Order): void {
    // A lost channel is reported by the process's exit.
    child?.send(message, () => {});
  }

  function sleep(): void {
    const idle = child;
    if (running || !idle) return;
    options.log(`ocr process ${idle.pid} sleeps`);
    child = undefined;
    void end(idle);
  }

  return {
    read(pictures, maxImageTokens, signal) {
      return new Promise((resolve, reject) => {
        if (closed) throw new Error("The model server is closing.");
        signal.throwIfAborted();
        const job: Job = { id: nextId++, pictures, maxImageTokens, signal, resolve, reject };
        waiting.push(job);
        signal.addEventListener(
          "abort",
          () => {
            const position = waiting.indexOf(job);
            if (position >= 0) waiting.splice(position, 1);
            else if (running === job) order({ kind: "cancel", id: job.id });
            reject(signal.reason);
          },
          { once: true },
        );
        next();
      });
    },
    async close() {
      closed = true;
      clearTimeout(idleTimer);
      clearTimeout(hangTimer);
      const last = child;
      child = undefined;
      for (const job of [running, ...waiting.splice(0)])
        job?.reject(new Error("The model server is closing."));
      running = undefined;
      if (last) await end(last);
    },
    stats: () => ({
      pid: child?.pid,
      starts,
      waiting: waiting.length,
      running: running ? 1 : 0,
      maxRssBytes,
    }),
  };
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
