import { type ChildProcess, fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { dirname } from "node:path";
import * as Lines from "#local/lambda/lines";
import type { FromInstance, FunctionError, Invoke } from "#local/lambda/protocol";
import * as Limits from "#spec/limits";

/** How a function is run. */
export interface FunctionCode {
  readonly file: string;
  readonly exportName: string;
  readonly memoryMb: number;
  readonly timeoutMs: number;
  /** Functions of one pool share its maximum number of processes. */
  readonly pool: string;
}

export type Outcome =
  /** The result as JSON. */
  | { readonly type: "result"; readonly payload: string }
  /** The function threw, crashed, did not load or answered too much; Lambda says "function error". */
  | { readonly type: "error"; readonly error: FunctionError }
  /** Killed at its timeout. */
  | { readonly type: "timeout" };

export type State = "starting" | "idle" | "busy" | "gone";

interface InstanceOptions {
  readonly name: string;
  readonly code: FunctionCode;
  readonly runtimeFile: string;
  readonly region: string;
  /** The function's settings. From the loop's environment it gets only what the system needs. */
  readonly env: Readonly<Record<string, string>>;
  readonly onLog: (functionName: string, line: string) => void;
  readonly onStart: (child: ChildProcess) => void;
}

/** Lambda's limit for the init phase. */
const initTimeoutMs = 10_000;

/** What the operating system, temporary files and outgoing TLS need; everything else is the function's own. */
const systemVariables = [
  "PATH",
  "Path",
  "PATHEXT",
  "SystemRoot",
  "SYSTEMROOT",
  "windir",
  "SystemDrive",
  "COMSPEC",
  "TEMP",
  "TMP",
  "TMPDIR",
  "LD_LIBRARY_PATH",
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
];

/** One Lambda instance: a process of its own that runs one invocation at a time. */
export class Instance {
  readonly name: string;
  readonly pid: number;
  readonly startedAt = Date.now();
  lastUsedAt = Date.now();
  invocations = 0;
  /** Its code has been replaced, so it ends once it is idle. */
  retired = false;
  /** Resolves when the init phase is over, however it ended. */
  readonly loaded: Promise<unknown>;
  /** Resolves when the process is gone and all its output was passed on. */
  readonly ended: Promise<void>;
  readonly #code: FunctionCode;
  readonly #region: string;
  readonly #child: ChildProcess;
  readonly #init: Promise<FunctionError | undefined>;
  #state: State = "starting";
  #settle: ((outcome: Outcome) => void) | undefined;
  #requestId = "";

  constructor(options: InstanceOptions) {
    this.name = options.name;
    this.#code = options.code;
    this.#region = options.region;
    this.#child = fork(options.runtimeFile, [options.code.file, options.code.exportName], {
      env: environment(options),
      execArgv: [`--max-old-space-size=${options.code.memoryMb}`, "--disable-warning=ExperimentalWarning"],
      serialization: "advanced",
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      windowsHide: true,
    });
    this.pid = this.#child.pid ?? -1;
    options.onStart(this.#child);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null) Lines.forEach(stream, (line) => options.onLog(options.name, line));
    }
    const init = Promise.withResolvers<FunctionError | undefined>();
    this.#init = init.promise;
    this.loaded = init.promise;
    const initTimer = setTimeout(() => {
      init.resolve({
        errorType: "Sandbox.Timedout",
        errorMessage: `init took longer than ${initTimeoutMs} ms`,
      });
      this.kill();
    }, initTimeoutMs);
    this.#child.on("message", (message: FromInstance) => {
      if (message.type === "ready") init.resolve(undefined);
      else if (message.type === "init_error") init.resolve(message.error);
      else if (message.requestId === this.#requestId) this.#settle?.(outcomeOf(message));
    });
    const gone = (error: FunctionError) => {
      this.#state = "gone";
      init.resolve(error);
      this.#settle?.({ type: "error", error });
    };
    // An answer may still be in the channel of a process that has ended; its last output may come later still.
    this.#child.once("exit", (status, signal) => {
      const error = {
        errorType: "Runtime.ExitError",
        errorMessage: `the process ended with ${signal ?? `status ${status}`}`,
      };
      if (this.#child.connected) this.#child.once("disconnect", () => gone(error));
      else gone(error);
    });
    this.ended = new Promise((resolve) => {
      this.#child.once("close", () => resolve());
      this.#child.on("error", (error) => {
        gone({ errorType: "Runtime.StartError", errorMessage: error.message });
        if (this.#child.pid === undefined) resolve();
      });
    });
    void init.promise.then((error) => {
      clearTimeout(initTimer);
      if (error !== undefined) this.kill();
    });
  }

  get state(): State {
    return this.#state;
  }

  /**
   * Runs one invocation. The function's timeout counts from the end of the init phase. After anything but a
   * result or a thrown error the instance is gone.
   */
  async invoke(event: string): Promise<Outcome & { requestId: string; coldStart: boolean }> {
    const requestId = randomUUID();
    const coldStart = this.invocations === 0;
    this.invocations += 1;
    if (this.#state !== "gone") this.#state = "busy";
    const failed = await this.#init;
    if (failed !== undefined) return { type: "error", error: failed, requestId, coldStart };
    const outcome = await this.#run({
      type: "invoke",
      requestId,
      event,
      deadline: Date.now() + this.#code.timeoutMs,
      functionArn: `arn:aws:lambda:${this.#region}:000000000000:function:${this.name}`,
      traceId: traceId(),
    });
    this.lastUsedAt = Date.now();
    if (this.#state === "busy") this.#state = "idle";
    return { ...limited(outcome), requestId, coldStart };
  }

  #run(message: Invoke): Promise<Outcome> {
    return new Promise((resolve) => {
      const timer = setTimeout(
        () => {
          this.kill();
          this.#settle?.({ type: "timeout" });
        },
        Math.max(0, message.deadline - Date.now()),
      );
      this.#requestId = message.requestId;
      this.#settle = (outcome) => {
        clearTimeout(timer);
        this.#settle = undefined;
        resolve(outcome);
      };
      if (this.#state === "gone") {
        this.#settle({
          type: "error",
          error: { errorType: "Runtime.ExitError", errorMessage: "the process has ended" },
        });
        return;
      }
      this.#child.send(message, (error) => {
        if (error !== null) this.kill();
      });
    });
  }

  /** Kills the process at once, as Lambda ends an instance. */
  kill(): void {
    this.#state = "gone";
    this.#child.kill("SIGKILL");
  }
}

function outcomeOf(message: Extract<FromInstance, { requestId: string }>): Outcome {
  return message.type === "result"
    ? { type: "result", payload: message.payload }
    : { type: "error", error: message.error };
}

function limited(outcome: Outcome): Outcome {
  const limit = Limits.platform.lambdaPayloadBytes;
  if (
    outcome.type !== "result" ||
    outcome.payload.length * 3 <= limit ||
    Buffer.byteLength(outcome.payload) <= limit
  )
    return outcome;
  return {
    type: "error",
    error: {
      errorType: "Function.ResponseSizeTooLarge",
      errorMessage: `Response payload size exceeded maximum allowed payload size (${limit} bytes).`,
    },
  };
}

/** X-Ray's form; functions may log it. */
function traceId(): string {
  const hex = randomUUID().replaceAll("-", "");
  const seconds = Math.floor(Date.now() / 1000).toString(16);
  return `Root=1-${seconds}-${hex.slice(0, 24)};Parent=${randomUUID().replaceAll("-", "").slice(0, 16)};Sampled=0`;
}

function environment({ name, code, region, env }: InstanceOptions): Record<string, string> {
  const system: Record<string, string> = {};
  for (const variable of systemVariables) {
    const value = process.env[variable];
    if (value !== undefined) system[variable] = value;
  }
  return {
    ...system,
    ...env,
    TZ: "UTC",
    LANG: "en_US.UTF-8",
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x",
    AWS_LAMBDA_FUNCTION_NAME: name,
    AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(code.memoryMb),
    AWS_LAMBDA_INITIALIZATION_TYPE: "on-demand",
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${name}`,
    AWS_LAMBDA_LOG_STREAM_NAME: `local/[$LATEST]${randomUUID().replaceAll("-", "")}`,
    LAMBDA_TASK_ROOT: dirname(code.file),
    _HANDLER: `${code.file}.${code.exportName}`,
  };
}
