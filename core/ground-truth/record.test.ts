import { describe, expect, test } from "vitest";
import * as Record from "./record.ts";

function read(value: unknown, imageKey?: string) {
  const { record, issues } = Record.parse(value, { index: 3, ...(imageKey ? { imageKey } : {}) });
  if (issues !== undefined) return issues.map(({ path, message }) => `${path}: ${message}`);
  return { image: record.image, labels: Record.writtenMembers(record.labels) };
}

const labelsOf = (fields: unknown) => Record.parse({ fields }, { index: 0 }).record?.labels;

describe("a record", () => {
  test("has its labels flat beside the picture's name, or under `fields` with remarks beside them", () => {
    expect(read({ file: "a.jpg", total: "1" })).toEqual({ image: "a.jpg", labels: { total: "1" } });
    expect(read({ file: "a.jpg", note: "x", fields: { total: "1" } })).toEqual({
      image: "a.jpg",
      labels: { total: "1" },
    });
    expect(read({ image: "a.jpg", total: "1" }, "image")).toEqual({ image: "a.jpg", labels: { total: "1" } });
    expect(read({ total: "1" })).toEqual({ image: undefined, labels: { total: "1" } });
  });

  test("distinguishes absent, unreadable, and ambiguous values from unlabeled ones", () => {
    const labels = labelsOf({
      a: null,
      b: " ",
      c: "?",
      d: " 12.00 ",
      e: { any: ["1.0", "1.00"] },
      f: { any: [null, 4] },
      g: { any: [null, ""] },
      h: [],
      i: {},
    });
    expect(Object.fromEntries(labels ?? [])).toEqual({
      a: { kind: "absent" },
      b: { kind: "absent" },
      c: { kind: "unreadable" },
      d: { kind: "value", accepted: [" 12.00 "], orAbsent: false },
      e: { kind: "value", accepted: ["1.0", "1.00"], orAbsent: false },
      f: { kind: "value", accepted: [4], orAbsent: true },
      g: { kind: "absent" },
      h: { kind: "rows", rows: [] },
      i: { kind: "group", members: new Map() },
    });
    expect(labels?.has("j")).toBe(false);
  });

  test("may use paths with dots, alone or beside groups", () => {
    const nested = { totals: { total: "1", tax: null }, items: [{ name: "x" }] };
    for (const fields of [
      nested,
      { "totals.total": "1", "totals.tax": null, items: nested.items },
      { "totals.total": "1", totals: { tax: null }, items: nested.items },
      { totals: { total: "1" }, "totals.tax": null, items: nested.items },
    ])
      expect(read({ fields })).toEqual({ image: undefined, labels: nested });
  });

  test("that is written and read again is the same; its plain form has one value per label", () => {
    const fields = {
      a: { any: ["1", null] },
      b: "?",
      c: null,
      d: [{ x: true }, "?"],
      e: { f: 1.5 },
      g: "<b>&",
    };
    const labels = labelsOf(fields) ?? new Map();
    expect(Record.writtenMembers(labels)).toEqual(fields);
    expect(labelsOf(Record.writtenMembers(labels))).toEqual(labels);
    expect(Record.plainMembers(labels)).toEqual({
      a: "1",
      b: null,
      c: null,
      d: [{ x: true }, null],
      e: { f: 1.5 },
      g: "<b>&",
    });
  });

  test("that is wrong is refused with every place and without a value", () => {
    let deep: unknown = "SECRET";
    for (let i = 0; i < 40; i += 1) deep = [deep];
    expect(read(["SECRET"])).toEqual(["records.3: is not a record: a record is an object"]);
    expect(read({ file: 7, fields: "SECRET" })).toEqual([
      "records.3.fields: is not an object of labels",
      "records.3.file: names the picture: a text that is not empty",
    ]);
    expect(
      read({
        fields: {
          a: { any: [] },
          b: { any: ["?"] },
          c: { any: [["SECRET"]] },
          d: Number.POSITIVE_INFINITY,
          e: Number("12345678901234567890"),
          f: deep,
          "": 1,
          "x.": 1,
          g: 1,
          "g.h": 2,
          "k.any": [1],
          l: { any: "SECRET" },
          m: { any: ["1"], note: "SECRET" },
          n: [{ price: { any: { a: 1 } } }],
        },
      }),
    ).toEqual([
      "records.3.fields.a.any: has no accepted value",
      "records.3.fields.b.any.0: is not a single accepted value",
      "records.3.fields.c.any.0: is not a single accepted value",
      "records.3.fields.d: is a number that loses digits: write it as a text, as it is printed",
      "records.3.fields.e: is a number that loses digits: write it as a text, as it is printed",
      expect.stringMatching(/^records\.3\.fields\.f\.0\.0.*: is nested more than 16 deep$/),
      "records.3.fields.: is not a name of a field",
      "records.3.fields.x.: is not a name of a field",
      "records.3.fields.g.h: is labeled twice",
      "records.3.fields.k.any: is not a name of a field",
      "records.3.fields.l.any: is not a list: accepted values stand in one, also a single one",
      "records.3.fields.m: has other members beside `any`, which lists the accepted values of one label",
      "records.3.fields.n.0.price.any: is not a list: accepted values stand in one, also a single one",
    ]);
    expect(read(JSON.parse('{"fields":{"__proto__":{"total":"1"}}}'))).toEqual([
      "records.3.fields.__proto__: is not a name of a field",
    ]);
  });
});
