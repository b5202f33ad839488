import { expect, it } from "vitest";
import * as Text from "./text.ts";

it.each([
  ["a title", "a\u001b]0;owned\u0007.jpg", "a\\u{1b}]0;owned\\u{7}.jpg"],
  ["a line end", "a.jpg\nb.jpg failed", "a.jpg\\u{a}b.jpg failed"],
  ["a carriage return", "good\rbad", "good\\u{d}bad"],
  ["a control sequence in one character", "\u009b2J", "\\u{9b}2J"],
  ["a direction that is turned around", "gpj.\u202etxt", "gpj.\\u{202e}txt"],
  ["an isolate", "\u2067x\u2069", "\\u{2067}x\\u{2069}"],
  ["what cannot be seen", "a\u200bb\u2028c\ufeff", "a\\u{200b}b\\u{2028}c\\u{feff}"],
  ["half a character", "a\ud800", "a\\u{d800}"],
])("%s is shown and does not control the terminal", (_, text, shown) => {
  expect(Text.shown(text)).toBe(shown);
});

it("names of all scripts stay as they are", () => {
  for (const name of ["Quittung Größe 2.jpg", "領収書.png", "می‌خواهم.jpg", "👩‍👧.png", "עברית"])
    expect(Text.shown(name)).toBe(name);
});

it("a message keeps its own lines and nothing else", () => {
  expect(Text.message("two:\n  a\u001b[2J\n  b")).toBe("two:\n  a\\u{1b}[2J\n  b");
});
