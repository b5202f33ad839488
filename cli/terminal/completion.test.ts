import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cli, open } from "#test/support/batch-cli";
import * as Completion from "./completion.ts";

const run = promisify(execFile);
let cli: Cli;
const scripts = new Map<string, string>();
beforeAll(async () => {
  cli = open();
  for (const shell of Completion.shells) {
    const { stdout } = await cli.run(["completion", shell]);
    scripts.set(shell, stdout);
    cli.file(`script.${shell}`, stdout);
  }
});
afterAll(() => cli.remove());

const has = (program: string) =>
  run(program, ["--version"]).then(
    () => true,
    () => false,
  );

it.each(Completion.shells)("%s: every command and its choices are in the script", (shell) => {
  const script = scripts.get(shell) ?? "";
  const option = (name: string) => (shell === "fish" ? `-l ${name}` : `--${name}`);
  for (const part of ["batch", "create-key", "profile", option("concurrency"), "running", "debugger"])
    expect(script).toContain(part);
});

describe.runIf(process.platform !== "win32" && (await has("bash")))("bash completes", () => {
  it.each([
    ["ocrlty ba", ["batch", "backup"]],
    ["ocrlty keys cre", ["create-key"]],
    ["ocrlty keys create-key --ro", ["--role"]],
    ["ocrlty keys create-key --role c", ["client"]],
    ["ocrlty runs --status can", ["canceled"]],
    ["ocrlty completion p", ["powershell"]],
    ["ocrlty batch --out ", []],
  ])("%s", async (line, expected) => {
    const words = line.split(" ");
    const script = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ocrlty; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await run("bash", ["-c", script, "bash", `${cli.dir}/script.bash`, ...words]);
    expect(stdout.split("\n").filter(Boolean).toSorted()).toEqual(expected.toSorted());
  });
});

it.each([
  ["zsh", ["-n"]],
  ["fish", ["--no-execute"]],
  ["pwsh", ["-NoProfile", "-File"]],
])("%s takes the script, where it is installed", async (shell, args) => {
  if (!(await has(shell))) return console.log(`${shell} is not installed: its completion is not tried out`);
  const name = shell === "pwsh" ? "powershell" : shell;
  await run(shell, [...args, `${cli.dir}/script.${name}`]);
});

it.runIf(await has("fish"))("fish completes", async () => {
  const completed = async (line: string) => {
    const { stdout } = await run("fish", ["-c", `source '${cli.dir}/script.fish'; complete -C'${line}'`]);
    return stdout.split("\n").map((each) => each.split("\t")[0]);
  };
  expect(await completed("ocrlty keys cre")).toContain("create-key");
  expect(await completed("ocrlty keys create-key --role d")).toContain("debugger");
});
