import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as Json from "#core/json";

describe("what is not JSON is reported with its place and its likely cause", () => {
  test.each([
    ["single quotes", "{'task_id':1}", "at line 1, column 2: strings and names have double quotes"],
    ["quotes that a shell took", "{task_id:1}", "at line 1, column 2: names have double quotes"],
    ["typographic quotes", '{"a":\u201cb\u201d}', "at line 1, column 6: typographic quotes are not allowed"],
    ["a comma too many", '{"a":1,\n}', "at line 2, column 1: the comma before the closing bracket"],
    ["a comma too many in a list", "[1,]", "at line 1, column 4: the comma before the closing bracket"],
    ["no comma", '{"a":1\n "b":2}', "at line 1, column 7: a comma is missing"],
    ["no colon", '{"a" 1}', "at line 1, column 6: a colon is missing"],
    ["no value", '{"a":}', "at line 1, column 6: a value is missing"],
    ["a comment", '{"a":1} // b', "at line 1, column 9: comments are no part"],
    ["Python's words", '{"a":True}', "at line 1, column 6: null, true and false are written so"],
    ["JavaScript's words", '{"a":undefined}', "at line 1, column 6: null, true and false are written so"],
    ["a word that is none", '{"a":tru}', "at line 1, column 6: no JSON value begins so"],
    ["a Windows path", '{"a":"C:\\receipts\\q"}', "a backslash in a string is written twice"],
    ["a line break in a string", '{"a":"b\nc"}', "at line 1, column 8: a line break or control character"],
    ["the end missing", '{"a":{"b":1}', "it breaks off at line 1, column 13"],
    ["a string without its end", '{"a":"b', "it breaks off at line 1, column 8"],
    ["more behind it", '{"a":1}{"b":1}', "at line 1, column 8: something follows after its end"],
    ["a form", "task_id=receipt_v1&image_base64=x", "at line 1, column 1: this is a form"],
    ["curl's @ without its meaning", "@body.json", "at line 1, column 1: it begins with @"],
    ["UTF-16", Buffer.from('{"a":1}', "utf16le").toString("utf8"), "if it is UTF-16, save it as UTF-8"],
    ["nothing but blanks", " \n", "is empty"],
    ["deeper than any parser follows", "[".repeat(100_000), "it breaks off at line 1, column 100001"],
  ])("%s", (_, text, told) => {
    expect(Json.read(text).problem).toContain(told);
  });

  test("never by its text", () => {
    const secret = "zqsecret";
    for (const text of [
      `{'${secret}':1}`,
      `{"${secret}":${secret}}`,
      `{"a":"${secret}`,
      secret,
      `{"a":1,"a":"${secret}"}`,
    ])
      expect(Json.read(text).problem).toMatch(/^(?!.*zqsecret)./);
  });
});

describe("a name that occurs twice in an object is refused", () => {
  test.each([
    ["plainly", '{"a":1,\n"b":{},"a":2}', "has a name twice in one object (line 2, column 8)"],
    ["written in another way", '{"a":1,"\\u0061":2}', "(line 1, column 8)"],
    ["in a list's object", '[{"a":[{"b":1,"b":1}]}]', "(line 1, column 15)"],
    ["__proto__", '{"__proto__":1,"__proto__":2}', "(line 1, column 16)"],
  ])("%s", (_, text, told) => {
    expect(Json.read(text).problem).toContain(told);
  });

  test("not if two objects have it, or a value looks like it", () => {
    for (const text of ['[{"a":1},{"a":2}]', '{"a":{"a":"a"},"b":["a","a"]}', '{"a":"\\",\\"a\\":1"}'])
      expect(Json.read(text)).toEqual({ value: JSON.parse(text) });
  });
});

test("a byte order mark in front is passed over", () => {
  expect(Json.read('\ufeff{"a":1}')).toEqual({ value: { a: 1 } });
});

test("__proto__ is a name like others: reported as unknown, and never used as a prototype", () => {
  const { value } = Json.read('{"__proto__":{"isAdmin":true}}');
  expect(Object.keys(value as object)).toEqual(["__proto__"]);
  expect((value as { isAdmin?: boolean }).isAdmin).toBeUndefined();
});

test("reads all that JSON.parse reads, and refuses all that it refuses", () => {
  fc.assert(
    fc.property(
      fc.json({ maxDepth: 4 }),
      fc.nat(),
      fc.constantFrom(...'{}[],:"\\x0 -.eE'),
      (text, at, char) => {
        expect(Json.read(text).value).toEqual(JSON.parse(text));
        const i = at % (text.length + 1);
        const broken = text.slice(0, i) + char + text.slice(i);
        const isJson = (() => {
          try {
            JSON.parse(broken);
            return true;
          } catch {
            return false;
          }
        })();
        const { problem } = Json.read(broken);
        if (!isJson) expect(problem).toMatch(/line \d+, column \d+|is not valid JSON/);
        else if (problem !== undefined) expect(problem).toContain("a name twice");
      },
    ),
    { numRuns: 300 },
  );
});
