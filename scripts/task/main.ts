/** `npm run task -- release ID`: makes a new folder of core/task a task, or says that a released one was changed. */
import { join } from "node:path";
import * as Release from "./release.ts";

const [verb, id, ...more] = process.argv.slice(2);
if (verb !== "release" || id === undefined || more.length > 0) {
  process.stderr.write("usage: npm run task -- release ID\n");
  process.exitCode = 2;
} else {
  try {
    const written = await Release.release(join(import.meta.dirname, "..", ".."), id);
    for (const path of written) process.stderr.write(`${path} is written\n`);
    if (written.length === 0) process.stderr.write(`${id} is released as it is\n`);
  } catch (error) {
    if (!(error instanceof Release.ReleaseError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    process.exitCode = 1;
  }
}
