/**
 * `npm run task -- release ID`: releases a new folder of core/task as a task, or reports that a released one was
 * changed. The OpenAPI document types every task's result, so it is written again, in a new process that loads the new
 * table.
 * `npm run task -- rules`: writes the versions of the rules for printed values.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import * as Rules from "#scripts/rules/rules";
import * as Release from "./release.ts";

const root = join(import.meta.dirname, "..", "..");
const [verb, id, ...more] = process.argv.slice(2);
if (verb === "rules" && id === undefined) {
  const written = await Rules.write(root);
  for (const path of written) process.stderr.write(`${path} is written\n`);
  if (written.length === 0) process.stderr.write("the versions of the rules are up to date\n");
} else if (verb !== "release" || id === undefined || more.length > 0) {
  process.stderr.write("usage: npm run task -- release ID\n       npm run task -- rules\n");
  process.exitCode = 2;
} else {
  try {
    const written = await Release.release(root, id);
    for (const path of written) process.stderr.write(`${path} is written\n`);
    if (written.length === 0) process.stderr.write(`${id} is released as it is\n`);
    const openapi = [...process.execArgv, join(root, "scripts", "openapi", "main.ts")];
    process.exitCode = spawnSync(process.execPath, openapi, { cwd: root, stdio: "inherit" }).status ?? 1;
  } catch (error) {
    if (!(error instanceof Release.ReleaseError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    process.exitCode = 1;
  }
}
