import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { extractJson, extractLast } from "#core/vision/answer/json";

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
    ["invalid_json", '{"items":[1}'],
    ["invalid_json", '{"a":1]}'],
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

  test("no digit of a number is altered: numbers that JavaScript cannot represent stay text", () => {
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

  test("an incomplete object is never taken for a complete one", () => {
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

const answer = '{"total":"12.00","items":[{"name":"a } </think> {"}]}';
const value = JSON.parse(answer);

describe("what models print around the answer", () => {
  test.each<[string, string]>([
    [
      "thinking with braces",
      `<think>\nThe slip shows {"total": ...}. The {tax} is 1.00.\n</think>\n\n${answer}`,
    ],
    ["thinking with a whole draft", `<think>Maybe {"total":"11.00","items":[]}? No.</think>${answer}`],
    ["thinking with half a draft", `<think>{"total":"11.00", "items": [{"na</think>\n${answer}`],
    ["thinking with a name twice", `<think>{"total":"1","total":"2"}</think>${answer}`],
    ["thinking with braces too many", `<think>}} {{ } {"x</think>${answer}`],
    ["a closing mark alone", `Let me see. {"total": "11.00"} was wrong.\n</think>\n\n${answer}`],
    ["a closing mark alone, without a draft", `Okay, 12 it is.\n</think>\n\n${answer}`],
    ["two thoughts", `<think>a {"total":"1"}</think>\n<think>b {"total":"2"}</think>\n${answer}`],
    [
      "a thought that speaks of its own end",
      `<think>then I write </think> and {"total":"1"}</think>${answer}`,
    ],
    ["an empty thought", `<think>\n\n</think>\n\n${answer}`],
    ["a thought behind the answer", `${answer}\n<think>Was {"total":"13.00"} better?</think>`],
    ["a thought behind the answer that does not end", `${answer}\n<think>Was {"total":"13.00"} better?`],
    ["a closing mark behind the answer", `${answer}\n</think>`],
    ["two of them", `${answer}\n</think>\n</think>\n`],
    ["other names of thinking", `<thinking>{"total":"1"}</thinking>${answer}`],
    ["thoughts", `<thought>{"total":"1"}</thought>${answer}`],
    ["seed", `<seed:think>{"total":"1"}</seed:think>${answer}`],
    ["upper case", `<THINK>{"total":"1"}</THINK>${answer}`],
    ["another closing mark than the opening one", `<thinking>{"total":"1"}</think>${answer}`],
    ["Magistral", `[THINK]{"total":"1"}[/THINK]${answer}`],
    ["Kimi-VL", `◁think▷{"total":"1"}◁/think▷${answer}`],
    [
      "Command A",
      `<|START_THINKING|>{"total":"1"}<|END_THINKING|><|START_RESPONSE|>${answer}<|END_RESPONSE|>`,
    ],
    [
      "gpt-oss",
      `<|channel|>analysis<|message|>{"total":"1"}<|end|><|start|>assistant<|channel|>final<|message|>${answer}<|return|>`,
    ],
    ["gpt-oss without its special tokens", `analysisSo {"total":"1"}.assistantfinal${answer}`],
    ["Gemma", `<|channel>thought\n{"total":"1"}<channel|>${answer}`],
    ["GLM", `<think>{"total":"1"}</think><answer><|begin_of_box|>${answer}<|end_of_box|></answer>`],
    ["a fence behind a thought", `<think>{}</think>\n\`\`\`json\n${answer}\n\`\`\``],
    ["placeholders in prose", `I fill in {total} and {"total": ...}, as {"total": string}:\n${answer}`],
    ["an opening brace in prose", `It begins with { and ends later.\n${answer}\nDone.`],
    ["a closing brace in prose", `${answer}\nIt ends with a } as asked.`],
    ["an empty object in prose", `Not {} but\n${answer}`],
    ["commas and quotes in prose", `Here, as "asked": ${answer}, "done", and thanks`],
    ["commas around", `Well, ${answer}, that is all`],
    ["the braces of a template", `{${answer}}`],
    [
      "the same twice",
      `${answer}\n\`\`\`json\n{ "items": [{"name":"a } </think> {"}], "total": "12.00" }\n\`\`\``,
    ],
  ])("%s: the object is found", (_name, text) => {
    expect(extractJson(text)).toEqual({ ok: true, value });
  });

  test.each([
    ["two_objects", `{"total":"11.00"}\nor rather\n${answer}`],
    ["two_objects", `<think>x</think>{"total":"11.00"} ${answer}`],
    ["two_objects", `The form is {"total":"0.00"}.\n${answer}`],
    ["invalid_json", `{'total': '11.00'}\n${answer}`],
    ["invalid_json", `{total: 11.00}\n${answer}`],
    ["invalid_json", `${answer}\n{"total": "13.00" or so}`],
    ["invalid_json", `{"outer": 1, oops ${answer} }`],
    ["half_object", `${answer}\n{"total": "13.00"`],
    ["half_object", `${answer} {`],
    ["half_object", `"total": "1", "merchant": {"name":"x"}`],
    ["half_object", `{"merchant":{"name":"x"}},"total":"1"}`],
    ["half_object", `"merchant": {"name":"x"}, "total":"1"`],
    ["half_object", `{"merchant":{"name":"x"}} and "total":"1"}`],
    ["half_object", `<think>a</think>{"total":"1`],
    ["not_an_object", `["a", {"total":"1"}]`],
    ["duplicate_key", `<think>a</think>{"total":"1","total":"2"}`],
    ["empty", `<think>{"total":"1"}</think>\n`],
    ["empty", `So {"total":"1"} it is. </think>`],
    ["unfinished_thinking", `<think>I see {"total":"12.00"}`],
    ["unfinished_thinking", `<think>{"total":"12.00"}, but wait`],
    ["unfinished_thinking", "<think>Let me look"],
  ])("%s is refused: %s", (expected, text) => {
    expect(reason(text)).toBe(expected);
  });

  test("an opening mark in front of the answer and nothing else is not thinking", () => {
    expect(extractJson('<think>\n{"total":"12.00"}\n')).toEqual({ ok: true, value: { total: "12.00" } });
  });

  test("an answer in the field of the thinking counts only if nothing follows it", () => {
    expect(extractLast(answer)).toEqual({ ok: true, value });
    expect(extractLast(`Here you are:\n\`\`\`json\n${answer}\n\`\`\`\n`)).toEqual({ ok: true, value });
    expect(extractLast(`${answer} Hmm, but the tax is missing.`).ok).toBe(false);
    expect(extractLast(`{"total":"11.00"} no, ${answer}`).ok).toBe(false);
    expect(extractLast("The total is 12.00").ok).toBe(false);
  });
});

describe("an otherwise complete object is repaired, and the repair is recorded", () => {
  test.each([
    ["trailing_commas", '{"total":"1",}', { total: "1" }],
    ["trailing_commas", '{"a":[{"b":"x" ,\n},\n],\n}', { a: [{ b: "x" }] }],
    ["trailing_commas", '{"a":"kept ,} and ,]",}', { a: "kept ,} and ,]" }],
    ["line_breaks", '{"address":"Street 1\n\tTown"}', { address: "Street 1\n\tTown" }],
  ])("%s: %s", (repair, text, expected) => {
    expect(extractJson(`<think>{</think>\n${text}`)).toEqual({
      ok: true,
      value: expected,
      repaired: [repair],
    });
  });

  test.each(['{"a":1,,}', "{,}", '{"a":[,]}', '{"a":[1,,2]}', '{"a":1 "b":2}', '{"a":}', '{"a\nb":1}'])(
    "an ambiguous object is not repaired: %s",
    (text) => {
      expect(extractJson(text).ok).toBe(false);
    },
  );
});

describe("the time for hostile answers is proportional to their length", () => {
  const length = 100_000;
  test.each<[string, string]>([
    ["opening braces", "{".repeat(length)],
    ["closing braces", "}".repeat(length)],
    ["objects that are cut off in each other", '{"a":'.repeat(length / 5)],
    ["objects that break at the end", `${'{"a":['.repeat(40)}${"1,".repeat(length / 2)}x`],
    ["quotes and braces", '{"'.repeat(length / 2)],
    ["opening marks", "<think>".repeat(length / 7)],
    ["closing marks", "</think>".repeat(length / 8)],
    ["opening marks with braces", "<think>{".repeat(length / 8)],
    ["thoughts", "<think>{</think>".repeat(length / 16)],
    ["beginnings of marks", "<".repeat(length)],
    ["empty objects", "{}".repeat(length / 2)],
    ["different objects", Array.from({ length: length / 10 }, (_, n) => `{"a":${n}}`).join("")],
    ["white space", `{"a":1${" ".repeat(length)}`],
    ["white space outside", `{"a":1}${" ".repeat(length)}x${" ".repeat(length)}}`],
    ["backslashes", `{"a":"${"\\\\".repeat(length / 2)}`],
    ["braces in texts", `{${Array.from({ length: length / 10 }, (_, n) => `"${n}":"{"`).join(",")} x`],
    ["names without values", '"a":'.repeat(length / 4)],
    ["line breaks in texts", `{"a":"${"\n".repeat(length)}"}`],
  ])("%s", (_name, text) => {
    const before = process.cpuUsage();
    extractJson(text);
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(1_500);
  });
});
