/**
 * The drills that the layout must pass. Each is done in a copy of the repository, the changed files are counted, and
 * the copy's own tests check that nothing is missing. Another S3 for a stage is a drill without a file:
 * infra.test.ts.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as HouseTree from "#scripts/house/tree";

const repository = dirname(import.meta.dirname);
const run = promisify(execFile);

let copy = "";
beforeAll(() => {
  if (!HouseTree.isCheckout(repository)) return;
  copy = fs.mkdtempSync(join(tmpdir(), "ocrlty-drill-"));
  for (const path of HouseTree.tracked(repository)) {
    fs.mkdirSync(dirname(join(copy, path)), { recursive: true });
    // Not a link: a drill overwrites files, and would change the originals.
    fs.copyFileSync(join(repository, path), join(copy, path), fs.constants.COPYFILE_FICLONE);
  }
  fs.symlinkSync(join(repository, "node_modules"), join(copy, "node_modules"), "junction");
});
afterAll(() => {
  if (copy !== "") fs.rmSync(copy, { recursive: true, force: true });
});

/** Every file of the copy by the hash of its content. */
function snapshot(): Map<string, string> {
  const found = new Map<string, string>();
  const visit = (folder: string) => {
    for (const entry of fs.readdirSync(join(copy, folder), { withFileTypes: true })) {
      const path = posix.join(folder, entry.name);
      if (entry.isDirectory()) visit(path);
      else if (entry.isFile())
        found.set(
          path,
          createHash("sha256")
            .update(fs.readFileSync(join(copy, path)))
            .digest("hex"),
        );
    }
  };
  visit("");
  return found;
}

/** The files that are new or changed since the snapshot. */
function changed(before: ReadonlyMap<string, string>): string[] {
  return [...snapshot()].filter(([path, hash]) => before.get(path) !== hash).map(([path]) => path);
}

const node = (...args: string[]) =>
  run(process.execPath, ["--disable-warning=ExperimentalWarning", ...args], { cwd: copy, timeout: 25_000 });
const write = (path: string, text: string) => {
  fs.mkdirSync(dirname(join(copy, path)), { recursive: true });
  fs.writeFileSync(join(copy, path), text);
};

/** Inserts a text before the only occurrence of another, as a person would. */
function insert(path: string, before: string, text: string): void {
  const whole = fs.readFileSync(join(copy, path), "utf8");
  expect(whole.split(before), `${path} has one ${before}`).toHaveLength(2);
  write(
    path,
    whole.replace(before, () => text + before),
  );
}

const task: Record<string, string> = {
  "examples.ts": `import type { Example } from "#core/task/definition/definition";

export const examples: Example[] = [
  {
    lines: ["Parking House North", "17.03.2031 18:42", "Paid   EUR 4,50"],
    answer: { name: "Parking House North", date: "17.03.2031", time: "18:42", total: "EUR 4,50" },
  },
];
`,
  "prompt.ts": `import { shown } from "#core/task/definition/definition";
import { examples } from "./examples.ts";

export const prompt = \`You read parking tickets. Copy what is printed; what is not printed is null.

Fields
- "name": the name of the car park.
- "date": the day of payment.
- "time": the time of payment.
- "total": the amount paid.

Example. A ticket with these lines:
\${shown(examples)}

The example only shows the form: never copy a value from it. Answer with the JSON object alone.\`;
`,
  "definition.ts": `import type { Definition } from "#core/task/definition/definition";
import * as Field from "#core/task/definition/field";
import { examples } from "./examples.ts";
import { prompt } from "./prompt.ts";

export const definition: Definition = {
  description: "What is printed on a parking ticket.",
  prompt,
  schema: () =>
    Field.group({
      name: Field.text("Name of the car park"),
      date: Field.date("Day of payment"),
      time: Field.time("Time of payment"),
      total: Field.money("Amount paid"),
    }),
  examples,
  maxOutputTokens: 200,
  checks: [],
};
`,
};

describe.skipIf(!HouseTree.isCheckout(repository))(
  "a drill changes only the expected files, and nothing is missing afterwards",
  () => {
    test("a new task is one folder by hand and one command", async () => {
      const before = snapshot();
      for (const [name, text] of Object.entries(task)) write(`core/task/drill_v1/${name}`, text);
      expect(changed(before).map(dirname)).toEqual(Array(3).fill("core/task/drill_v1"));
      const byHand = snapshot();
      await node("scripts/task/main.ts", "release", "drill_v1");
      expect(changed(byHand).toSorted()).toEqual([
        "core/task/drill_v1/released.json",
        "core/task/registry.ts",
        "docs/openapi.json",
      ]);
    });

    test("a new function in a family of routes of its own is its file, its entry and its route", async () => {
      const before = snapshot();
      write(
        "functions/api/drill.ts",
        `import * as z from "zod";
import { api } from "#functions/http";
import { operation } from "#functions/request/operation";

export const operations = {
  "GET /v1/parking_lots": operation({
    summary: "Parking lots",
    description: "Every one of them.",
    responses: { 200: { description: "The list", schema: z.strictObject({ lots: z.array(z.string()) }) } },
    errors: [],
    run: async () => ({ status: 200, body: { lots: [] } }),
  }),
};

export const handler = api(operations);
`,
      );
      insert(
        "spec/functions.ts",
        "} as const satisfies Record<string, FunctionSpec>;",
        '  drill: { handler: "functions/api/drill.handler", memoryMb: 256, timeoutMs: 5_000, links: ["database"] },\n',
      );
      insert(
        "spec/routes.ts",
        "] as const satisfies readonly Route[];",
        '  { method: "GET", path: "/v1/parking_lots", function: "drill", access: "key" },\n',
      );
      expect(changed(before)).toHaveLength(3);
      const byHand = snapshot();
      await node("scripts/openapi/main.ts");
      expect(changed(byHand)).toEqual(["docs/openapi.json"]);
      const document = JSON.parse(fs.readFileSync(join(copy, "docs/openapi.json"), "utf8"));
      expect(document.paths["/v1/parking_lots"].get.tags).toEqual(["Parking lots"]);
      expect(document.tags.map(({ name }: { name: string }) => name)).toContain("Parking lots");
    });

    test("the copy's own tests of tasks, routes and functions pass after both", async () => {
      const files = ["core/task/task.test.ts", "scripts/task/release.test.ts", "test/structure.test.ts"];
      const smoke = "cli/smoke/run.test.ts";
      const names = "drill_v1|every folder is a task|the table of tasks|every route";
      const out = join(copy, "report.json");
      await node(
        "node_modules/vitest/vitest.mjs",
        ...["run", "--maxWorkers=1", "--reporter=json", `--outputFile=${out}`, "-t", names],
        ...[...files, smoke],
      ).catch(() => undefined);
      const report = JSON.parse(fs.readFileSync(out, "utf8")) as Record<string, number>;
      expect(report).toMatchObject({ numFailedTests: 0, numFailedTestSuites: 0 });
      // Seven tests of the new task, and at least one of each of the four others.
      expect(report.numPassedTests).toBeGreaterThanOrEqual(11);
    });
  },
);
