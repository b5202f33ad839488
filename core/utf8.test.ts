import { expect, test } from "vitest";
import * as Utf8 from "#core/utf8";

test.each<[string, number[], number]>([
  ["Latin-1", [...Buffer.from('{"a":"B'), 0xe4, ...Buffer.from('cker"}')], 8],
  ["Latin-1 at the end", [0x61, 0xe4], 2],
  ["a character that breaks off", [0x61, 0xe2, 0x82], 2],
  ["a continuation alone", [0xc3, 0xa4, 0x80], 3],
  ["a surrogate", [0xed, 0xa0, 0x80], 1],
  ["UTF-16", [0xff, 0xfe, 0x7b, 0x00], 1],
])("%s is named with the byte where it stands", (_, bytes, at) => {
  const wrong = Uint8Array.from(bytes);
  expect(Utf8.read(wrong)).toEqual({ problem: `is not UTF-8 (at byte ${at})` });
  expect(Utf8.problemOf(Buffer.from(wrong).toString("utf8"))).toBe(`is not UTF-8 (at byte ${at})`);
});

test("what is UTF-8 is read as it is, and its place in a large text is found, too", () => {
  const text = "\ufeffBäcker 日本 \u{1f9fe}\0";
  expect(Utf8.read(Buffer.from(text))).toEqual({ text });
  expect(Utf8.problemOf(text)).toBeUndefined();
  const large = Buffer.concat([Buffer.from("ä".repeat(500_000)), Buffer.from([0xe4]), Buffer.from("b")]);
  expect(Utf8.read(large).problem).toBe("is not UTF-8 (at byte 1000001)");
});
