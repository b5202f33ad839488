import { type ChildProcess, spawn } from "node:child_process";
import * as Config from "#core/config";
import { AppError, type Details } from "#core/error";
import type { Encoded, Header } from "#core/image/encode";
import type { Look } from "#core/look/look";
import { guards, type ProcessGuards } from "#spec/guards";
import type { Attached, Done, Job, Order, Ready, Result as Results, Texts } from "./program.ts";
import * as Usage from "./usage.ts";

/*
 * Native decoders run in a separate process, one per instance, which is reused: an abort does not stop native work,
 * and a thread that continues takes CPU from the next call. At the caller's deadline, at the limit of time, and when it has
 * used more CPU or memory than the page may take, the process is killed and the next one is started. It gets no secrets: its environment has only what the operating system needs.
 */

interface Options {
  /** URL of the program; ./program.ts shows what it must do. */
  program(): Promise<string>;
  /** Longest time for one order, including the start of the process. */
  limitMs: number;
  /** What a page may use in addition. */
  bounds: Omit<ProcessGuards, "wallMs">;
}

/** Usual pictures never take this long. */
const longMs = 1_000;

type Result<J extends Job> = J extends { op: "header" }
  ? Header
  : J extends { op: "look" }
    ? Look
    : J extends { op: "embedded" }
      ? Attached
      : J extends { op: "text" }
        ? Texts
        : Encoded;
interface Work {
  bytes: Uint8Array;
  /** sha256 of the bytes, which are sent once for all orders about one picture. */
  sha256: string;
  /** Megapixels that may have to be decoded; 0 by default. */
  megapixels?: number | undefined;
  signal?: AbortSignal | undefined;
}
/** The time of an order by the clock, the CPU of a page, and the memory of the process. */
interface Allowance extends Usage.Bounds {
  wallMs: number;
}
type Outcome = Done | "aborted" | "late" | { passed: "cpu" | "memory" } | { lost: AppError };

/** One process and one order at a time; a function serves one call at a time anyway. */
export class Decoder {
  readonly #options: Options;
  #process: Process | undefined;
  /** A spare process, started while an order takes long, so that the next order need not wait for a start. */
  #next: Process | undefined;
  #line: Promise<unknown> = Promise.resolve();

  constructor(options: Partial<Options> = {}) {
    this.#options = {
      program: async () => (await import("./program.ts")).url,
      limitMs: guards.process.wallMs,
      bounds: guards.process,
      ...options,
    };
  }

  /** Starts the process if there is none, so that it is ready for the first picture. */
  warm(): void {
    this.#running();
  }

  /** Ends the process and its current work. The next order starts another one. */
  end(): void {
    for (const each of [this.#process, this.#next]) each?.end();
    this.#process = undefined;
    this.#next = undefined;
  }

  /** The id of the process, for tests that watch it; undefined while there is none. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /**
   * The program's answer. After an abort or the limit the process has ended before this rejects.
   * @throws AppError `invalid_image` if the program says so, with `details.reason` `decoding_took_too_long` at the
   *   limit of time or CPU, `decoding_took_too_much_memory`, `decoder_crashed` for bytes that ended two processes; `inference_timeout` on an abort without a reason
   *   of ours; `internal`.
   */
  async run<J extends Job>(job: J, work: Work): Promise<Result<J>> {
    const before = this.#line;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#line = before.then(() => promise);
    try {
      await orAborted(before, work.signal);
      return (await this.#ask(job, work)) as Result<J>;
    } finally {
      resolve();
    }
  }

  async #ask(job: Job, work: Work): Promise<Results> {
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.#asked(job, work);
      if (outcome === "aborted") throw timedOut(work.signal);
      if (outcome === "late") throw tookTooLong({ limit_ms: this.#options.limitMs });
      if ("passed" in outcome) throw passed(outcome.passed, this.#allowance(work));
      if ("lost" in outcome) {
        // The cause may be the machine or the picture; if it happens twice, it is the picture.
        if (attempt < 2) continue;
        throw outcome.lost;
      }
      if (outcome.ok) return outcome.result;
      const cause = new Error(outcome.cause);
      if (outcome.refused === undefined) throw new AppError("internal", "the decoder failed", { cause });
      const { message, details } = outcome.refused;
      throw new AppError("invalid_image", message, { details, cause });
    }
  }

  /** Sends one order to one process, which is replaced if it does not answer. */
  async #asked(job: Job, work: Work): Promise<Outcome> {
    const { limitMs } = this.#options;
    const standBy = setTimeout(
      () => {
        this.#next ??= this.#started();
      },
      Math.min(longMs, limitMs / 2),
    );
    const asked = this.#running();
    const outcome = await asked.ask(job, work, this.#allowance(work));
    clearTimeout(standBy);
    const next = this.#next;
    this.#next = undefined;
    if (typeof outcome === "object" && "id" in outcome) {
      next?.end();
      return outcome;
    }
    asked.end();
    if (this.#process === asked) this.#process = next ?? this.#started();
    else next?.end();
    return outcome;
  }

  #allowance({ megapixels = 0 }: Work): Allowance {
    const { limitMs, bounds } = this.#options;
    return {
      wallMs: limitMs,
      cpuMs: Math.round(bounds.cpuMs + megapixels * bounds.cpuMsPerMegapixel),
      residentBytes: bounds.residentBytes,
    };
  }

  #running(): Process {
    if (this.#process?.gone !== false) this.#process = this.#started();
    return this.#process;
  }

  #started(): Process {
    return new Process(this.#options.program());
  }
}

let own: Decoder | undefined;
/** The decoder of this instance. */
export function shared(): Decoder {
  own ??= new Decoder();
  return own;
}

/** An upper bound for the CPU of a process's start; an order may come before the start is over. */
const startCpuMs = 1_500;

class Process {
  gone = false;
  #ready = false;
  #child: ChildProcess | undefined;
  readonly #started: Promise<ChildProcess>;
  #holds = "";
  #orders = 0;
  /** The page of the last order, and the CPU used since it was last drawn. */
  #page = { key: "", spentMs: 0 };
  #settle: ((outcome: Outcome) => void) | undefined;

  constructor(program: Promise<string>) {
    this.#started = program.then((url) => this.#start(url));
    this.#started.catch(() => undefined);
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  #start(url: string): ChildProcess {
    const serve = "import(process.argv[1]).then((program) => program.serve())";
    const child = spawn(process.execPath, ["--input-type=module", "--eval", serve, url], {
      env: Config.systemEnvironment(),
      stdio: ["pipe", "ignore", "inherit", "ipc"],
      serialization: "advanced",
      windowsHide: true,
    });
    this.#child = child;
    // The process must not keep a command running after its work is done.
    child.unref();
    child.channel?.unref();
    (child.stdin as { unref?: () => void } | null)?.unref?.();
    const lost = (error: AppError) => {
      this.gone = true;
      this.#settle?.({ lost: error });
    };
    child.on("error", (cause) =>
      lost(new AppError("internal", "the decoder could not be started", { cause })),
    );
    child.on("exit", (code, signal) => lost(this.#ready ? crashed(code, signal) : ended(code, signal)));
    // Writes to a process that has ended fail; its exit is handled elsewhere.
    child.stdin?.on("error", () => undefined);
    child.on("message", (said: Done | Ready) => {
      if ("ready" in said) this.#ready = true;
      else if (said.id === this.#orders) this.#settle?.(said);
    });
    if (this.gone) child.kill("SIGKILL");
    return child;
  }

  async ask(job: Job, { bytes, sha256, signal }: Work, allowance: Allowance): Promise<Outcome> {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.#settle = resolve;
    const timer = setTimeout(() => resolve("late"), allowance.wallMs);
    const key = `${sha256} ${job.index}`;
    if (this.#page.key !== key) this.#page = { key, spentMs: 0 };
    const page = this.#page;
    let unwatch = () => 0;
    const onAbort = () => resolve("aborted");
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
    this.#started.then(
      (child) => {
        const known = this.#holds === sha256;
        this.#orders += 1;
        const order: Order = { id: this.#orders, job, bytes: known ? undefined : bytes.byteLength };
        child.send(order, () => undefined);
        if (!known) child.stdin?.write(bytes);
        this.#holds = sha256;
        const cpuMs = allowance.cpuMs - page.spentMs + (this.#ready ? 0 : startCpuMs);
        if (this.#settle === resolve && child.pid !== undefined)
          unwatch = Usage.watch(child.pid, { ...allowance, cpuMs }, (what) => resolve({ passed: what }));
      },
      (cause: unknown) =>
        resolve({ lost: new AppError("internal", "the decoder could not be started", { cause }) }),
    );
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      const usedMs = unwatch();
      page.spentMs = job.op === "encode" ? 0 : page.spentMs + usedMs;
      signal?.removeEventListener("abort", onAbort);
      this.#settle = undefined;
    }
  }

  end(): void {
    this.gone = true;
    this.#child?.kill("SIGKILL");
  }
}

/** A signal from outside is not the picture's fault: the system was short of memory, or is shutting down. */
function crashed(code: number | null, signal: NodeJS.Signals | null): AppError {
  const fault = ended(code, signal);
  if (signal === "SIGKILL") return fault;
  return new AppError("invalid_image", "the picture cannot be decoded", {
    details: { reason: "decoder_crashed" },
    cause: fault.cause,
  });
}

function ended(code: number | null, signal: NodeJS.Signals | null): AppError {
  const cause = new Error(`it ended with ${signal ?? `status ${code}`}`);
  return new AppError("internal", "the decoder ended", { cause });
}

function tookTooLong(limit: Pick<Details, "limit_ms" | "limit_cpu_ms">): AppError {
  return new AppError(
    "invalid_image",
    "the picture takes too long to decode: save it again as JPEG, or scale it down",
    { details: { reason: "decoding_took_too_long", ...limit } },
  );
}

function passed(what: "cpu" | "memory", { cpuMs, residentBytes }: Allowance): AppError {
  if (what === "cpu") return tookTooLong({ limit_cpu_ms: cpuMs });
  return new AppError(
    "invalid_image",
    "the picture takes too much memory to decode: save it again as JPEG, or scale it down",
    { details: { reason: "decoding_took_too_much_memory", limit_bytes: residentBytes } },
  );
}

/** An abort reason of our own is passed on unchanged. */
function timedOut(signal: AbortSignal | undefined): AppError {
  if (signal?.reason instanceof AppError) return signal.reason;
  return new AppError("inference_timeout", "the time of this call ran out", { cause: signal?.reason });
}

async function orAborted(wait: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) {
    await wait;
    return;
  }
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(timedOut(signal));
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([wait, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
