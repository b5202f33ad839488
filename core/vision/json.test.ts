import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { extractJson } from "#core/vision/json";

const reason = (text: string) => {
  const extracted = extractJson(text);
  return extracted.ok ? "ok" : extracted.reason;
};

describe("extractJson", () => {
  test.each([
    ["bare", '{"total":"12.00"}'],
    ["white space around", ' \n\t{"total":"12.00"}\r\n '],
    ["byte order mark", '\ufeff{"total":"12.00"}'],
    ["fenced", '```json\n{"total":"12.00"}\n```'],
    ["fenced without a language", '```\n{"total":"12.00"}\n```'],
    ["prose around", 'Here is the result:\n{"total":"12.00"}\nLet me know if "this" helps.'],
  ])("one object is found: %s", (_name, text) => {
    expect(extractJson(text)).toEqual({ ok: true, value: { total: "12.00" } });
  });

  test.each([
    ["empty", ""],
    ["empty", "  \n "],
    ["no_object", "I cannot read this receipt."],
    ["not_an_object", '["12.00"]'],
    ["not_an_object", '"12.00"'],
    ["not_an_object", "null"],
    ["not_an_object", '[{"total":"12.00"}]'],
    ["not_an_object", '```json\n[{"total":"12.00"}]\n```'],
    ["two_objects", '[{"total":"1"},{"total":"2"}]'],
    ["two_objects", '{"total":"1"}{"total":"2"}'],
    ["two_objects", '```json\n{"total":"1"}\n```\nor\n```json\n{"total":"2"}\n```'],
    ["half_object", '{"total":"12.00"'],
    ["half_object", '{"total":"12.'],
    ["half_object", '{"total":"1"} {"total":"2'],
    ["half_object", '{"items":[{"name":"a"}'],
    ["half_object", '"a": {"total":"1"}}'],
    ["invalid_json", '"total":"1"}'],
    ["invalid_json", "{'total':'12.00'}"],
    ["invalid_json", '{"total":1,591,600}'],
    ["invalid_json", '{"total":"1",}'],
    ["invalid_json", '{"items":[1}'],
    ["invalid_json", '{"a":1]}'],
    ["two_objects", '{total} is {"total":"1"}'],
    ["duplicate_key", '{"total":"1","total":"2"}'],
    ["duplicate_key", '{"a":{"x":1,"\\u0078":2}}'],
    ["unsafe_key", '{"__proto__":{"admin":true}}'],
    ["unsafe_key", '{"a":[{"\\u005f_proto__":1}]}'],
  ])("%s: %s", (expected, text) => {
    expect(reason(text)).toBe(expected);
  });

  test("depth is bounded, before anything recursive sees it", () => {
    expect(reason(`${'{"a":'.repeat(64)}1${"}".repeat(64)}`)).toBe("ok");
    expect(reason(`${'{"a":'.repeat(65)}1${"}".repeat(65)}`)).toBe("too_deep");
    expect(reason(`{"a":${"[".repeat(100_000)}`)).toBe("too_deep");
  });

  test("an inner object of a broken outer one is never taken for the answer", () => {
    expect(reason('{"items": [{"name": "COFFEE"}], total: 3}')).toBe("invalid_json");
    expect(reason('{"first": {"total": "1"}, "second": {"total": "2"')).toBe("half_object");
  });

  test("the same name in different objects is no duplicate, and braces in texts are text", () => {
    expect(extractJson('{"a":{"x":1},"b":{"x":2},"c":"} {\\" x","d":["}"]}')).toEqual({
      ok: true,
      value: { a: { x: 1 }, b: { x: 2 }, c: '} {" x', d: ["}"] },
    });
    expect(extractJson('{"a":"x","b":["a","a"],"c":"a"}').ok).toBe(true);
  });

  test("no digit of a number is altered: what JavaScript cannot hold stays text", () => {
    const value =
      '{"a":9007199254740993,"b":0.1234567890123456789,"c":1e999,"d":12.50,"e":-3,"f":1e3,"g":[123456789012345678901]}';
    expect(extractJson(value)).toEqual({
      ok: true,
      value: {
        a: "9007199254740993",
        b: "0.1234567890123456789",
        c: "1e999",
        d: 12.5,
        e: -3,
        f: 1000,
        g: ["123456789012345678901"],
      },
    });
  });

  test("names like constructor are plain data", () => {
    const extracted = extractJson('{"constructor":1,"hasOwnProperty":2}');
    expect(extracted).toEqual({ ok: true, value: { constructor: 1, hasOwnProperty: 2 } });
  });

  test("every JSON object comes back as it was, whatever is around it", () => {
    const text = fc.string({ unit: "binary" });
    const value = fc.dictionary(
      text.filter((key) => key !== "__proto__"),
      fc.letrec((tie) => ({
        value: fc.oneof(
          { depthSize: "xsmall" },
          text,
          fc.integer(),
          fc.boolean(),
          fc.constant(null),
          fc.array(tie("value")),
          fc.dictionary(
            text.filter((key) => key !== "__proto__"),
            tie("value"),
          ),
        ),
      })).value,
    );
    const prose = fc.string().map((each) => each.replace(/[{}[\]]/g, ""));
    fc.assert(
      fc.property(value, prose, prose, (object, before, after) => {
        const extracted = extractJson(`${before}${JSON.stringify(object)}${after}`);
        expect(extracted.ok).toBe(true);
        // Compared as text: the generated objects have no prototype.
        if (extracted.ok) expect(JSON.stringify(extracted.value)).toBe(JSON.stringify(object));
      }),
      { numRuns: 60 },
    );
  });

  test("no cut-off object is ever taken for a whole one", () => {
    const whole = JSON.stringify({
      total: "12.00",
      items: [
        { name: 'a "b" }', price: "1" },
        { name: "{", price: null },
      ],
    });
    for (let length = 1; length < whole.length; length++)
      expect(extractJson(whole.slice(0, length)).ok).toBe(false);
  });
});
