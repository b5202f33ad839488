import { execFileSync } from "node:child_process";
import { stripTypeScriptTypes } from "node:module";
import { expect, test } from "vitest";
import type { Operation } from "#functions/request/operation";
import document from "../../docs/openapi.json" with { type: "json" };
import { samples } from "./samples.ts";

type Described = { operationId: string; "x-codeSamples": { lang: string; source: string }[] };
const all = Object.values(document.paths as unknown as Record<string, Record<string, Described>>).flatMap(
  (methods) => Object.values(methods),
);
const of = (lang: string) =>
  all.map((operation) => operation["x-codeSamples"].find((sample) => sample.lang === lang)?.source ?? "");

const there = (command: string, ...args: string[]) => {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};
const hasPython = there("python3", "--version");
const hasBash = process.platform !== "win32" && there("bash", "--version");
if (!hasPython) console.warn("samples in Python are not parsed: there is no python3");

test("every operation has a sample for curl, TypeScript and Python", () => {
  for (const operation of all)
    expect(
      operation["x-codeSamples"].map(({ lang }) => lang),
      operation.operationId,
    ).toEqual(["Shell", "TypeScript", "Python"]);
});

test("TypeScript is TypeScript", () => {
  for (const source of of("TypeScript")) {
    expect(source).toContain(`fetch(\`\${process.env.OCRLTY_URL}`);
    expect(() => stripTypeScriptTypes(source), source).not.toThrow();
  }
});

test.skipIf(!hasPython)("Python is Python", () => {
  const program = "import ast, json, sys\nfor text in json.load(sys.stdin): ast.parse(text)";
  execFileSync("python3", ["-c", program], { input: JSON.stringify(of("Python")) });
});

test.skipIf(!hasBash)("curl's lines are lines of a shell", () => {
  execFileSync("bash", ["-n"], { input: of("Shell").join("\n") });
});

test("values come through as each language writes them", () => {
  const operation = { body: {}, responses: { 200: { description: "", schema: {} } } } as unknown as Operation;
  const route = {
    method: "POST",
    path: "/v1/things/{thing_id}",
    function: "extract",
    access: "key",
  } as const;
  const [curl, typescript, python] = samples(route, operation, {
    request: { a: "it's true", b: true, c: null, d: [1], e: 'x "null" \\' },
  }).map(({ source }) => source);
  expect(curl).toContain(`"$OCRLTY_URL/v1/things/$THING_ID"`);
  expect(curl).toContain(`"a":"it'\\''s true","b":true`);
  expect(typescript).toContain(`/v1/things/\${process.env.THING_ID}\``);
  expect(typescript).toContain('"b": true');
  expect(python).toContain('os.environ["OCRLTY_URL"] + "/v1/things/" + os.environ["THING_ID"]');
  expect(python).toContain(`"a": "it's true"`);
  expect(python).toContain('"b": True');
  expect(python).toContain('"c": None');
  expect(python).toContain('"e": "x \\"null\\" \\\\"');
});
