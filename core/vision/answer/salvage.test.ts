import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { salvage } from "#core/vision/answer/salvage";
import { receipt } from "#test/support/model-server/vllm";

/**
 * True if everything in `part` is also in `whole`, at the same place; lists have the first entries, each of them
 * complete.
 */
function isBeginningOf(part: unknown, whole: unknown, inList = false): boolean {
  if (Array.isArray(whole)) {
    if (!Array.isArray(part) || part.length > whole.length || (inList && part.length < whole.length))
      return false;
    return part.every((each, index) => isBeginningOf(each, whole[index], true));
  }
  if (typeof whole === "object" && whole !== null) {
    if (typeof part !== "object" || part === null) return false;
    const names = Object.keys(part);
    if (inList && names.length < Object.keys(whole).length) return false;
    return names.every((name) =>
      isBeginningOf(
        (part as Record<string, unknown>)[name],
        (whole as Record<string, unknown>)[name],
        inList,
      ),
    );
  }
  return Object.is(part, whole);
}

const tricky = {
  'a "quoted" name': 'with ] } , : \\ and "quotes"',
  numbers: [1, 12, 125, -0.5, 1e3],
  words: [true, false, null, "null"],
  empty: {},
  none: [],
  nested: { deep: { total: "12.50", taxes: [{ rate: "20 %", parts: [1, 2] }] } },
  rows: [[1, 2], [3, 4], { price: "2,50", tags: ["合計", "“ß” 🧾"] }],
  total: 1250,
};

describe.each([
  ["a receipt", JSON.stringify(receipt(6))],
  ["the same, indented", JSON.stringify(receipt(4), null, 2)],
  ["anything JSON can be", JSON.stringify(tricky)],
  ["behind prose and a fence", `Here it is:\n\`\`\`json\n${JSON.stringify(receipt(2))}\n\`\`\``],
  ["behind a thought", `<think>\nIt shows {"total": ...}.\n</think>\n${JSON.stringify(receipt(2))}`],
])("%s, cut off at every byte", (_name, text) => {
  const from = text.indexOf("{", text.indexOf("</think>") + 1);
  const whole: unknown = JSON.parse(text.slice(from, text.lastIndexOf("}") + 1));
  const bytes = Buffer.from(text);

  test("keeps no cut value and invents no row", () => {
    let rows = 0;
    for (let length = 0; length <= bytes.length; length++) {
      const kept = salvage(bytes.subarray(0, length).toString("utf8"));
      if (kept === undefined) continue;
      expect(isBeginningOf(kept.value, whole), `at ${length}`).toBe(true);
      // More text never removes values that were found before.
      expect(kept.rows, `at ${length}`).toBeGreaterThanOrEqual(rows);
      rows = kept.rows;
    }
    expect(salvage(text)?.value).toEqual(whole);
  });
});

test("every complete row is kept, and the incomplete list is named", () => {
  const text = JSON.stringify(receipt(9));
  const end = text.indexOf('{"name":"ARTIKEL F185');
  for (const cut of [end - 1, end, end + 1, end + 40]) {
    const kept = salvage(text.slice(0, cut));
    expect(kept).toMatchObject({ rows: 5, brokenList: "items" });
    expect(kept?.value).toEqual({ ...receipt(5), totals: undefined, payment: undefined });
  }
});

test("an answer that is cut off after a list names no incomplete list; nested lists have their path", () => {
  const text = JSON.stringify(receipt(3));
  expect(salvage(text.slice(0, -30))).toMatchObject({ rows: 3, brokenList: undefined });
  expect(salvage('{"a":{"b":[{"x":1},{"x":2},{"x"')).toEqual({
    value: { a: { b: [{ x: 1 }, { x: 2 }] } },
    rows: 2,
    brokenList: "a.b",
  });
});

test.each([
  ['{"a": "x", "n": 12', { a: "x" }],
  ['{"a": "x", "n": 12,', { a: "x", n: 12 }],
  ['{"a": "x", "n": tru', { a: "x" }],
  ['{"a": "x", "n": "12\\', { a: "x" }],
  ['{"a": "x", "n": "12\\"', { a: "x" }],
  ['{"a": "x", "n"', { a: "x" }],
  ['{"a": "x", "n":', { a: "x" }],
  ['{"a": {"b": "x", "c": {', { a: { b: "x" } }],
  ['{"a": ["x", "y', { a: ["x"] }],
  ['{"n": 9007199254740993, "m": 0', { n: "9007199254740993" }],
])("%s keeps the complete parts", (text, value) => {
  expect(salvage(text)?.value).toEqual(value);
});

test.each([
  ["", "nothing"],
  ["The total is 12", "prose"],
  ["{", "nothing whole"],
  ['{"a', "half a name"],
  ['{"items": [{"name": "TEA"', "half the first row"],
  ['["a", "b', "a list"],
  ['{"a": 1, "a": 2, "b', "a name twice"],
  ['{"__proto__": {"x": 1}, "b', "an unsafe name"],
  ['{"a": 1,591,600, "b', "no JSON"],
  ['{"a": [1}, "b', "brackets that do not match"],
  [`{"a": ${"[".repeat(80)}1, `, "too deep"],
])("%s gives no partial answer: %s", (text) => {
  expect(salvage(text)).toBeUndefined();
});

test("never throws and never invents a value, wherever the text is cut", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), fc.nat(), (json, at) => {
      const text = `{"value":${json},"end":"x"}`;
      const kept = salvage(text.slice(0, at % (text.length + 1)));
      let whole: unknown;
      try {
        whole = JSON.parse(text);
      } catch {
        return;
      }
      if (kept !== undefined) expect(isBeginningOf(kept.value, whole)).toBe(true);
    }),
    { numRuns: 500 },
  );
});
