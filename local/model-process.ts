/** The stand-in model server as a child process of the loop, started again when it dies. */
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "#local/home/home";
import * as Lines from "#local/lambda/lines";

export interface ModelProcess {
  /** Base address of the OpenAI API; a restarted server has the same. */
  readonly url: string;
  pid(): number | undefined;
  close(): Promise<void>;
}

interface ModelOptions {
  readonly onLog: (line: string) => void;
  /** Called for every started process. */
  readonly onStart: (child: ChildProcess) => void;
}

const program = join(packageRoot, "local", "model", "main.ts");
const startMs = 30_000;
const restartMs = 500;
const closeMs = 2_000;

/** Returns when the server answers. Throws if it ends, or gives no sign for 30 s. */
export async function start(options: ModelOptions): Promise<ModelProcess> {
  let closing = false;
  let child: ChildProcess;
  const begin = async (port: number): Promise<string> => {
    child = spawn(port);
    options.onStart(child);
    for (const stream of [child.stdout, child.stderr])
      if (stream !== null) Lines.forEach(stream, options.onLog);
    const url = await ready(child);
    child.once("exit", () => {
      if (!closing) setTimeout(() => void again(Number(new URL(url).port)), restartMs).unref();
    });
    return url;
  };
  const again = async (port: number): Promise<void> => {
    if (closing) return;
    options.onLog("model: started again after it had ended");
    await begin(port).catch((error: Error) => options.onLog(`model: ${error.message}`));
  };
  const url = await begin(0);
  return {
    url,
    pid: () => child.pid,
    close: async () => {
      closing = true;
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
      const timer = setTimeout(() => child.kill("SIGKILL"), closeMs);
      // On Windows a signal is always a kill; the closed channel lets it end cleanly on every system.
      child.disconnect();
      await ended;
      clearTimeout(timer);
    },
  };
}

function spawn(port: number): ChildProcess {
  return fork(program, [], {
    env: { ...process.env, PORT: String(port), HOST: "127.0.0.1", NODE_OPTIONS: "" },
    execArgv: ["--disable-warning=ExperimentalWarning"],
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    windowsHide: true,
  });
}

function ready(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`the stand-in model server did not start within ${startMs} ms`));
    }, startMs);
    child.on("message", (message: { kind?: string; url?: string }) => {
      if (message.kind !== "ready" || message.url === undefined) return;
      clearTimeout(timer);
      resolve(message.url);
    });
    child.once("exit", (status, signal) => {
      clearTimeout(timer);
      reject(new Error(`the stand-in model server ended with ${signal ?? `status ${status}`}`));
    });
  });
}
