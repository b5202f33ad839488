/**
 * The program of one Lambda instance: `runtime.mjs <bundle> <export>`, started with an IPC channel by the pool.
 * It loads the bundle, then answers one invocation at a time, as the runtime of nodejs24.x does: handlers are
 * async (callbacks are gone there), a thrown error leaves the instance alive, an unhandled one ends it.
 */
import * as module from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { FromInstance, FunctionError, Invoke } from "#local/lambda/protocol";

type Handler = (event: unknown, context: object) => unknown;

const [file = "", exportName = ""] = process.argv.slice(2);

// The loop ends its instances. Ctrl-C and a service manager signal the whole group, and a call in flight may still finish.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
// The loop has ended, possibly by kill -9: no caller waits for an answer any more.
process.on("disconnect", () => process.exit(0));

let handler: Handler;
try {
  // Compiled code is shared by all instances of a bundle: a cold start costs a third less.
  module.enableCompileCache(join(dirname(file), "compile-cache"));
  handler = await load();
  send({ type: "ready" });
  module.flushCompileCache();
} catch (thrown) {
  const error = describe(thrown);
  console.error(JSON.stringify({ level: "ERROR", event: "init_error", ...error }));
  await flushed();
  send({ type: "init_error", error });
}

process.on("message", (message: Invoke) => {
  void answer(message);
});

async function load(): Promise<Handler> {
  const loaded: Record<string, unknown> = await import(pathToFileURL(file).href);
  const found = loaded[exportName];
  if (typeof found !== "function") {
    throw Object.assign(new Error(`${exportName} is undefined or not exported`), {
      name: "Runtime.HandlerNotFound",
    });
  }
  return found as Handler;
}

async function answer({ requestId, event, deadline, functionArn, traceId }: Invoke): Promise<void> {
  process.env._X_AMZN_TRACE_ID = traceId;
  const context = {
    awsRequestId: requestId,
    callbackWaitsForEmptyEventLoop: true,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    invokedFunctionArn: functionArn,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
  try {
    const result = await handler(JSON.parse(event), context);
    const payload = serialize(result);
    await flushed();
    send({ type: "result", requestId, payload });
  } catch (thrown) {
    const error = describe(thrown);
    console.error(JSON.stringify({ level: "ERROR", event: "invoke_error", requestId, ...error }));
    await flushed();
    send({ type: "error", requestId, error });
  }
}

/** undefined becomes null, as Lambda answers it. */
function serialize(result: unknown): string {
  try {
    return JSON.stringify(result) ?? "null";
  } catch (thrown) {
    throw Object.assign(new Error("the handler's result is not JSON"), {
      name: "Runtime.MarshalError",
      cause: thrown,
    });
  }
}

/** Flushes the output, because an instance may be killed at any time after its answer. */
async function flushed(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.writableLength > 0) await new Promise<void>((resolve) => stream.write("", () => resolve()));
  }
}

function send(message: FromInstance): void {
  // If the channel closes during the message, the loop has ended.
  process.send?.(message, undefined, undefined, () => undefined);
}

function describe(thrown: unknown): FunctionError {
  if (!(thrown instanceof Error)) return { errorType: typeof thrown, errorMessage: String(thrown) };
  return { errorType: thrown.name, errorMessage: thrown.message, trace: (thrown.stack ?? "").split("\n") };
}
