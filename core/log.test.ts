import { execFile } from "node:child_process";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import * as Config from "#core/config";
import * as Log from "#core/log";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The output of a separate process: the logger exists once per process and reads its settings once. */
async function line(): Promise<string> {
  const script = `import * as Log from "#core/log";
    Log.create({ a: null }).info("tried", { b: null, c: undefined, d: 0, e: false, f: "" });`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: root,
    env: { ...process.env, LOG_LEVEL: "INFO" },
  });
  return stdout;
}

test("a null field is in the line, and an undefined one is not", async () => {
  const { time, ...fields } = JSON.parse(await line());
  expect(fields).toEqual({ level: "INFO", event: "tried", a: null, b: null, d: 0, e: false, f: "" });
  expect(Date.parse(time)).not.toBeNaN();
});

test("a setting that is missing is named as the cause", () => {
  const cause = new Config.ConfigError(["VLLM_BASE_URL", "VLLM_MODEL"], "not told");
  expect(Log.describe(new Error("nor this", { cause })).error_chain).toEqual([
    "Error",
    "ConfigError:VLLM_BASE_URL:VLLM_MODEL",
  ]);
});
