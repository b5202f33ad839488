import { Worker } from "node:worker_threads";

/*
 * A decoder in WebAssembly blocks the thread that would notice the parent's end. So a second thread checks for the
 * parent; without it, the process would continue after its parent was killed.
 */

const everyMs = 500;

/** The thread's code. A process gets another parent when its own ends, except on Windows, where the old id stays. */
const code = `
const { workerData: parent } = require("node:worker_threads");
const isThere = () => {
  try {
    process.kill(parent, 0);
    return true;
  } catch (thrown) {
    return thrown.code === "EPERM";
  }
};
setInterval(() => {
  if (process.ppid !== parent || !isThere()) process.kill(process.pid, "SIGKILL");
}, ${everyMs});
`;

let watching = false;

/** Ends this process soon after its parent has ended, whatever its main thread does. Starts one thread at most. */
export function endWith(parent: number): void {
  if (watching) return;
  watching = true;
  const resourceLimits = { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 2 };
  new Worker(code, { eval: true, workerData: parent, execArgv: [], resourceLimits }).unref();
}
