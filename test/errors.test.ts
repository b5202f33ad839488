/** docs/errors.md, the page that every `doc_url` leads to. */
import * as fs from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { codes, invalidRequest } from "#core/error";
import { conflictReasons } from "#core/error-details";
import * as Issue from "#core/issue";
import * as Json from "#core/json";
import { BatchRequest } from "#core/run/schema";
import { guides } from "#functions/docs-page/guides";

const page = fs
  .readFileSync(join(import.meta.dirname, "..", "docs", "errors.md"), "utf8")
  .replaceAll("\r\n", "\n");

test("every code that the product can send has its heading, with its status, and nothing else has one", () => {
  const sections = [...page.matchAll(/^## ([a-z_]+)\n\nStatus (\d{3})\. /gm)].map(([, code, status]) => [
    code,
    Number(status),
  ]);
  expect(Object.fromEntries(sections)).toEqual(
    Object.fromEntries(Object.entries(codes).map(([code, { status }]) => [code, status])),
  );
  expect(sections).toHaveLength(Object.keys(codes).length);
});

test("every conflict has a reason of the closed list, and the page has each with its cure", () => {
  const root = join(import.meta.dirname, "..");
  const sources = ["core", "functions"].flatMap((folder) =>
    fs
      .readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
      .map((name) => fs.readFileSync(join(root, folder, name), "utf8")),
  );
  const made = sources.flatMap((text) =>
    text
      .split(/new AppError\(\s*"conflict",/)
      .slice(1)
      // One status, or one of two depending on the case.
      .flatMap((rest) => {
        const [, said = ""] = /reason: ([^,}]*)/.exec(rest.slice(0, 500)) ?? [];
        const names = [...said.matchAll(/"([a-z_]+)"/g)].map(([, name]) => name);
        return names.length === 0 ? [undefined] : names;
      }),
  );
  expect(made.length).toBeGreaterThan(20);
  expect(made).not.toContain(undefined);
  expect(new Set(made)).toEqual(new Set(conflictReasons));
  const section = page.slice(page.indexOf("## conflict"), page.indexOf("## answer_too_long"));
  for (const reason of conflictReasons) expect(section).toContain(`\`${reason}\``);
});

test("it is a page of /docs under the name that doc_url has", () => {
  expect(Object.keys(guides)).toContain("errors");
});

test.each([
  ['{"concurrency":0,"images_dir":"a"}', "`concurrency: must be a whole number from 1 to 64, or auto`"],
  [
    '{"concurrency":"4","images_dir":"a"}',
    "`concurrency: must be a whole number from 1 to 64, or auto, not text: leave out the quotes`",
  ],
  ['{"task":"x","images_dir":"a"}', "``task: unknown field: did you mean `task_id`?``"],
  [
    '{"a":1,}',
    "the body is not valid JSON at line 1, column 8: the comma before the closing bracket is one too many",
  ],
  [
    "{'task_id': 1}",
    "the body is not valid JSON at line 1, column 2: strings and names have double quotes, not single ones",
  ],
])("%s gets the answer that the page describes", (body, told) => {
  const { value, problem } = Json.read(body);
  const message =
    problem === undefined
      ? invalidRequest(Issue.check(BatchRequest, value).issues ?? []).message
      : `the body ${problem}`;
  expect(told).toContain(message);
  expect(page).toContain(told);
});

test("the message is the first issue, and counts the others", () => {
  const issues = [
    { line: 3, path: "image_ref", message: "no such upload" },
    { line: 9, path: "", message: "is not UTF-8" },
  ];
  expect(invalidRequest(issues).message).toBe("line 3: image_ref: no such upload (and 1 more)");
  expect(invalidRequest(issues, { count: 250 }).message).toBe(
    "line 3: image_ref: no such upload (and 249 more)",
  );
  expect(invalidRequest(issues.slice(1))).toMatchObject({
    message: "line 9: is not UTF-8",
    param: undefined,
  });
  expect(invalidRequest(issues).about("other").param).toBe("image_ref");
});
