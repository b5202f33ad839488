/**
 * Lambda on a laptop: one process = one instance = one invocation at a time. Functions of one pool share a
 * maximum of processes; a warm instance is reused (the one used last first), an idle one of another function
 * makes room, and when all are busy invocations wait in order. Only a few processes load at a time: on Lambda
 * every instance has a processor of its own, here sixteen together would all pass the time limit of their init.
 */
import type { ChildProcess } from "node:child_process";
import { availableParallelism } from "node:os";
import { type FunctionCode, Instance, type Outcome, type State } from "#local/lambda/instance";

export type { FunctionCode } from "#local/lambda/instance";

export interface LambdaOptions {
  readonly runtimeFile: string;
  readonly functions: Readonly<Record<string, FunctionCode>>;
  /** Name of a pool → most processes at a time. */
  readonly pools: Readonly<Record<string, number>>;
  /** The environment of a function. */
  readonly env: (functionName: string) => Readonly<Record<string, string>>;
  readonly region: string;
  /** A whole line that a function printed, stdout and stderr alike, in order. Never loses one. */
  readonly onLog: (functionName: string, line: string) => void;
  /** Every invocation that has ended. */
  readonly onOutcome?: (invocation: Invocation) => void;
  /** Called for every process that is started: it must be killed if this process dies without cleanup. */
  readonly onStart: (child: ChildProcess) => void;
}

export type Invocation = Outcome & {
  readonly functionName: string;
  readonly requestId: string;
  readonly pid: number;
  readonly coldStart: boolean;
  readonly waitedMs: number;
  readonly durationMs: number;
};

interface InstanceInfo {
  readonly pid: number;
  readonly functionName: string;
  readonly state: State;
  readonly invocations: number;
  readonly startedAt: number;
}

export interface Lambda {
  /**
   * Runs a function on an event of JSON values. A signal that aborts while the invocation waits for an instance
   * throws its reason; an invocation that runs is not aborted, as on AWS. Throws if the pool is closed.
   */
  invoke(functionName: string, event: unknown, options?: { signal?: AbortSignal }): Promise<Invocation>;
  instances(): InstanceInfo[];
  /** Sends SIGKILL to one instance; false if the pid is not one of this pool. */
  killInstance(pid: number): boolean;
  /** New code for the functions: calls in flight finish on the old code, later calls start on the new. */
  swap(code: Pick<LambdaOptions, "runtimeFile" | "functions">): void;
  /** Busy instances may finish for `graceMs`, then everything is killed. Returns when no process is left. */
  close(graceMs?: number): Promise<void>;
}

class UnknownFunctionError extends Error {
  override readonly name = "UnknownFunctionError";
}

export class ClosedError extends Error {
  override readonly name = "ClosedError";
}

interface Waiter {
  readonly functionName: string;
  readonly take: (instance: Instance) => void;
  readonly refuse: (reason: unknown) => void;
}

/** Most processes that load their code at a time, those of all pools together. */
const maxLoading = Math.max(2, availableParallelism());

/** Starts no process yet: instances come with the first invocations. */
export function start(options: LambdaOptions): Lambda {
  const pools = new Pools(options);
  return {
    invoke: (...call) => pools.invoke(...call),
    instances: () => pools.instances(),
    killInstance: (pid) => pools.killInstance(pid),
    swap: (code) => pools.swap(code),
    close: (graceMs) => pools.close(graceMs),
  };
}

class Pools implements Lambda {
  readonly #options: LambdaOptions;
  readonly #pools: ReadonlyMap<string, Pool>;
  #code: Pick<LambdaOptions, "runtimeFile" | "functions">;
  #loading = 0;
  #closed = false;

  constructor(options: LambdaOptions) {
    this.#options = options;
    this.#code = options;
    const mayLoad = () => this.#loading < maxLoading;
    this.#pools = new Map(Object.entries(options.pools).map(([name, max]) => [name, new Pool(max, mayLoad)]));
  }

  async invoke(
    functionName: string,
    event: unknown,
    { signal }: { signal?: AbortSignal } = {},
  ): ReturnType<Lambda["invoke"]> {
    if (this.#closed) throw new ClosedError("the functions are being stopped");
    const json = JSON.stringify(event);
    const begin = performance.now();
    const pool = this.#poolOf(functionName);
    const instance = await pool.acquire(functionName, this.#startInstance, signal);
    const waitedMs = performance.now() - begin;
    try {
      const outcome = await instance.invoke(json);
      const durationMs = performance.now() - begin - waitedMs;
      const invocation = { ...outcome, functionName, pid: instance.pid, waitedMs, durationMs };
      this.#options.onOutcome?.(invocation);
      return invocation;
    } finally {
      pool.release(instance, this.#startInstance);
    }
  }

  instances(): ReturnType<Lambda["instances"]> {
    return this.#all().map(({ pid, name, state, invocations, startedAt }) => ({
      pid,
      functionName: name,
      state,
      invocations,
      startedAt,
    }));
  }

  killInstance(pid: number): boolean {
    const found = this.#all().find((one) => one.pid === pid);
    found?.kill();
    return found !== undefined;
  }

  swap(code: Pick<LambdaOptions, "runtimeFile" | "functions">): void {
    this.#code = code;
    for (const pool of this.#pools.values()) pool.retire();
  }

  async close(graceMs = 0): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#pools.values()].map((pool) => pool.close(graceMs)));
  }

  #all(): Instance[] {
    return [...this.#pools.values()].flatMap(({ instances }) => [...instances]);
  }

  #poolOf(functionName: string): Pool {
    const pool = this.#pools.get(this.#code.functions[functionName]?.pool ?? "");
    if (pool === undefined) throw new UnknownFunctionError(`no function ${functionName}`);
    return pool;
  }

  readonly #startInstance = (name: string): Instance => {
    const { runtimeFile, functions } = this.#code;
    const code = functions[name];
    if (code === undefined) throw new UnknownFunctionError(`no function ${name}`);
    const { region, env, onLog, onStart } = this.#options;
    const instance = new Instance({ name, code, runtimeFile, region, env: env(name), onLog, onStart });
    this.#loading += 1;
    void instance.loaded.then(() => {
      this.#loading -= 1;
      for (const pool of this.#pools.values()) pool.serve(this.#startInstance);
    });
    return instance;
  };
}

type Start = (functionName: string) => Instance;

/** The processes of one pool, at most `max`, and the invocations that wait for one. */
class Pool {
  readonly instances = new Set<Instance>();
  readonly #max: number;
  readonly #mayLoad: () => boolean;
  readonly #waiters: Waiter[] = [];
  readonly #idle = new Set<Instance>();

  constructor(max: number, mayLoad: () => boolean) {
    this.#max = max;
    this.#mayLoad = mayLoad;
  }

  async acquire(functionName: string, start: Start, signal: AbortSignal | undefined): Promise<Instance> {
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const stop = () => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        reject(signal?.reason);
      };
      const waiter: Waiter = {
        functionName,
        take: (instance) => {
          signal?.removeEventListener("abort", stop);
          resolve(instance);
        },
        refuse: (reason) => {
          signal?.removeEventListener("abort", stop);
          reject(reason);
        },
      };
      signal?.addEventListener("abort", stop, { once: true });
      this.#waiters.push(waiter);
      this.serve(start);
    });
  }

  release(instance: Instance, start: Start): void {
    if (instance.state === "idle" && !instance.retired) this.#idle.add(instance);
    else instance.kill();
    this.serve(start);
  }

  /** Gives instances to waiting invocations, in order, as long as one is idle or may be started. */
  serve(start: Start): void {
    for (let waiter = this.#waiters[0]; waiter !== undefined; waiter = this.#waiters[0]) {
      const { functionName } = waiter;
      // A Set keeps the order of insertion: the last idle one of the function is the warmest.
      const warm = [...this.#idle].findLast((one) => one.name === functionName && one.state === "idle");
      if (warm === undefined && this.instances.size >= this.#max) {
        this.#makeRoom();
        return;
      }
      // The invocation gets the first free instance: a new process that has loaded, or a warm one that has finished.
      if (warm === undefined && !this.#mayLoad()) return;
      this.#waiters.shift();
      if (warm !== undefined) {
        this.#idle.delete(warm);
        waiter.take(warm);
        continue;
      }
      try {
        waiter.take(this.#begin(start, functionName));
      } catch (error) {
        waiter.refuse(error);
      }
    }
  }

  /**
   * Ends idle instances, the coldest first, one for each waiting invocation. When its process is gone, the place is
   * free and `serve` runs again.
   */
  #makeRoom(): void {
    const leaving = [...this.instances].filter(({ state }) => state === "gone").length;
    for (const instance of [...this.#idle].slice(0, Math.max(0, this.#waiters.length - leaving))) {
      this.#idle.delete(instance);
      instance.kill();
    }
  }

  #begin(start: Start, functionName: string): Instance {
    const instance = start(functionName);
    this.instances.add(instance);
    void instance.ended.then(() => {
      this.instances.delete(instance);
      this.#idle.delete(instance);
      this.serve(start);
    });
    return instance;
  }

  retire(): void {
    for (const instance of this.instances) instance.retired = true;
    for (const instance of this.#idle) instance.kill();
    this.#idle.clear();
  }

  async close(graceMs: number): Promise<void> {
    for (const waiter of this.#waiters.splice(0))
      waiter.refuse(new ClosedError("the functions are being stopped"));
    this.retire();
    const timer = setTimeout(() => {
      for (const instance of this.instances) instance.kill();
    }, graceMs);
    await Promise.all([...this.instances].map(({ ended }) => ended));
    clearTimeout(timer);
  }
}
