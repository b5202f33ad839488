import { execFile } from "node:child_process";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** What a process of its own prints: the logger is one for a process, and takes its settings once. */
async function line(format: "json" | "text"): Promise<string> {
  const script = `import * as Log from "#core/log";
    Log.create({ a: null }).info("tried", { b: null, c: undefined, d: 0, e: false, f: "" });`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: root,
    env: { ...process.env, LOG_FORMAT: format, LOG_LEVEL: "INFO" },
  });
  return stdout;
}

test("a field that is null stands in a line of either form, and one that is undefined in none", async () => {
  const { time, ...fields } = JSON.parse(await line("json"));
  expect(fields).toEqual({ level: "INFO", event: "tried", a: null, b: null, d: 0, e: false, f: "" });
  expect(Date.parse(time)).not.toBeNaN();
  expect(await line("text")).toMatch(/ INFO {2}tried a=null b=null d=0 e=false f=\n$/);
});
