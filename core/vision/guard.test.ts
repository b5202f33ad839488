import { describe, expect, test } from "vitest";
import { type Cut, endsInCopies, Guard } from "#core/vision/guard";

/** Feeds a text in pieces. @returns where it was cut off, and why. */
function feed(text: string, size = 7, maxTokens = 4096): { cut: Cut | undefined; at: number } {
  const guard = new Guard(maxTokens);
  for (let at = 0; at < text.length; at += size) {
    const cut = guard.push(text.slice(at, at + size));
    if (cut !== undefined) return { cut, at: at + size };
  }
  return { cut: undefined, at: text.length };
}

test("endless white space is cut off within some 200 characters", () => {
  for (const unit of [" ", "\n", "\t \r\n", "\u00a0"]) {
    const { cut, at } = feed(`{"total": ${unit.repeat(2000)}`);
    expect(cut).toBe("whitespace");
    expect(at).toBeLessThan(260);
  }
});

test("endless digits are cut off, with and without separators", () => {
  for (const unit of ["0739150284625518", "0."]) {
    const { cut, at } = feed(`{"total": ${unit.repeat(300)}`);
    expect(cut).toBe("digits");
    expect(at).toBeLessThan(120);
  }
  for (const unit of ["1,000,", "123.456,"]) {
    const { cut, at } = feed(`{"total": ${unit.repeat(300)}`);
    expect(cut).toBe("repetition");
    expect(at).toBeLessThan(400);
  }
});

test("a compact list of different numbers is an answer, not a loop", () => {
  const prices = Array.from({ length: 300 }, (_, i) => 1000 + i * 7);
  expect(feed(JSON.stringify({ prices })).cut).toBeUndefined();
});

test("loops of any period are cut off long before a usual max_tokens", () => {
  const units = [
    "ha",
    "- ",
    "\\n",
    '"total": "2.50", ',
    `"text": "${"abcdefghij".repeat(30)}",`,
    '{"items": [{"name": "TEA"}]}, ',
  ];
  for (const unit of units) {
    const { cut, at } = feed(`{"text": "${unit.repeat(200)}`);
    expect(cut).toBe("repetition");
    expect(at).toBeLessThan(Math.max(400, unit.length * 32 + 100));
  }
});

test("empty entries are no lines, however often they repeat", () => {
  for (const unit of ['{"name": null, "price": null}, ', "null, ", '"", ', "{}, ", '[null, ""], ']) {
    const { cut, at } = feed(`{"items": [${unit.repeat(200)}`);
    expect(cut, unit).toBe("repetition");
    expect(at).toBeLessThan(Math.max(400, unit.length * 32 + 100));
  }
});

describe("whole entries that repeat are lines of a receipt: only max_tokens limits them", () => {
  const units = [
    '{"name": "COFFEE", "price": "2.50"}, ',
    '{"name":"KATZENFUTTER \\"DOSE\\", 400G","quantity":null,"unit_price":null,"price":"0,89"},',
    `{"text": "${Array.from({ length: 90 }, (_, i) => i).join(" ")}"},`,
    '"0,89", ',
    "89, ",
    // Two alternating lines, a list within a line, brackets within a text.
    '{"name": "TEA", "price": "1.00"}, {"name": "CAKE", "price": "3.00"}, ',
    '{"name": "TEA", "tags": ["A", "B"], "price": "1.00"}, ',
    '{"name": "TEA ]}[{", "price": "1.00"}, ',
  ];
  test.each(units)("%s", (unit) => {
    for (const copies of [36, 100]) {
      const text = `{"items": [${unit.repeat(copies).replace(/,\s*$/, "")}], "total": "89,00"}`;
      for (const size of [1, 7, 64]) expect(feed(text, size)).toEqual({ cut: undefined, at: text.length });
    }
  });

  test.each(units)("an answer that ends in such entries ends in copies: %s", (unit) => {
    expect(endsInCopies(`{"items": [${unit.repeat(80)}${unit.slice(0, unit.length / 2)}`)).toBe(true);
    expect(endsInCopies(`{"items": [${unit.repeat(20)}`)).toBe(false);
  });
});

test("different lines are no copies", () => {
  const items = Array.from({ length: 80 }, (_, i) => ({ name: `ITEM ${i * 37}`, price: "0,89" }));
  expect(endsInCopies(JSON.stringify({ items }).slice(0, 2_000))).toBe(false);
});

test("what receipts really contain is not cut off", () => {
  const line = (index: number) => ({
    name: `NASI GORENG ${index % 7}`,
    quantity: "1",
    price: "25,000",
    total: "25,000",
  });
  const samples = [
    JSON.stringify({ items: Array.from({ length: 120 }, (_, index) => line(index)) }, null, 2),
    // Twenty equal lines in a row: seen on canteen receipts.
    JSON.stringify({ items: Array.from({ length: 20 }, () => line(1)) }),
    JSON.stringify({
      text: `${"-".repeat(48)}\n${"=".repeat(48)}\nTOTAL${".".repeat(40)}12.00\n${"*".repeat(48)}`,
    }),
    JSON.stringify({
      barcode: "4006381333931".repeat(3),
      code: "00000000000000000000000000000000000000000000",
    }),
    JSON.stringify({ a: { b: { c: { d: { e: { f: ["x"] } } } } } }, null, 10),
    JSON.stringify(Object.fromEntries(Array.from({ length: 25 }, (_, index) => [`field_${index}`, null]))),
  ];
  for (const sample of samples) expect(feed(sample)).toEqual({ cut: undefined, at: sample.length });
});

test("more text than max_tokens allows is cut off: a server may ignore the limit", () => {
  let state = 1;
  const noise = Array.from({ length: 60_000 }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return String.fromCharCode(97 + (state % 26));
  }).join("");
  expect(feed(noise, 100, 256)).toEqual({ cut: "too_long", at: 8_200 });
});

test("the check for loops takes almost no time", () => {
  const text = JSON.stringify({
    items: Array.from({ length: 600 }, (_, index) => ({ name: `item ${index * 7919}`, price: index })),
  });
  const before = performance.now();
  feed(text, 4, 8192);
  expect(performance.now() - before).toBeLessThan(1_000);
});
