import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import * as Braces from "./braces.ts";
import * as Glob from "./glob.ts";

const fitting = (glob: string, paths: readonly string[]) => paths.filter(Glob.matcher(glob));

describe("braces", () => {
  test.each<[string, string[]]>([
    ["m{8..12}", ["m8", "m9", "m10", "m11", "m12"]],
    ["{01..03}", ["01", "02", "03"]],
    ["{8..010}", ["008", "009", "010"]],
    ["{-1..1}", ["-1", "0", "1"]],
    ["{-01..1}", ["-01", "000", "001"]],
    ["{3..1}", ["3", "2", "1"]],
    ["{1..9..4}", ["1", "5", "9"]],
    ["{9..1..-4}", ["9", "5", "1"]],
    ["{9..1..4}", ["9", "5", "1"]],
    ["{1..3..0}", ["1", "2", "3"]],
    ["{c..a}", ["c", "b", "a"]],
    ["{a,b{c,d}e}f", ["af", "bcef", "bdef"]],
    ["{a,{b,{c,d}}}", ["a", "b", "c", "d"]],
    ["{,x}y", ["y", "xy"]],
    ["{1..2,a}", ["1..2", "a"]],
    ["{1..2}{a,b}", ["1a", "1b", "2a", "2b"]],
    // No comma and no range: text, like braces that are escaped or never closed.
    ["{a}", ["{a}"]],
    ["{a{b,c}}", ["{ab}", "{ac}"]],
    ["{}", ["{}"]],
    ["a{b,c", ["a{b,c"]],
    ["\\{a,b\\}", ["\\{a,b\\}"]],
    ["{a\\,b,c}", ["a\\,b", "c"]],
    ["{a..1}", ["{a..1}"]],
  ])("%s", (text, expected) => {
    expect(Braces.expand(text, 100)).toEqual(expected);
  });

  test("for too many patterns are refused before they are expanded", () => {
    for (const glob of ["{1..1000000000}", "{1..200}{1..200}", "{a,b}".repeat(60), `{x{1..200}}{1..200}`])
      expect(() => Glob.matcher(glob), glob).toThrow(Glob.GlobError);
    expect(Glob.patterns("{1..10000}")).toHaveLength(10_000);
  });
});

describe("a pattern", () => {
  test.each<[glob: string, fits: string[], not: string[]]>([
    ["m{8..12}.jpg", ["m8.jpg", "m9.jpg", "m12.jpg"], ["m1.jpg", "m2.jpg", "m13.jpg", "m08.jpg"]],
    ["{01..12}.png", ["01.png", "09.png", "12.png"], ["1.png", "00.png", "13.png"]],
    ["scan (1).jpg", ["scan (1).jpg"], ["scan 1.jpg", "scan (2).jpg"]],
    ["scan (1)*.jpg", ["scan (1).jpg", "scan (1) b.jpg"], ["scan 1.jpg"]],
    ["scan [1].jpg", ["scan 1.jpg", "scan [1].jpg"], ["scan [2].jpg", "scan .jpg"]],
    ["a+b$c^d.jpg", ["a+b$c^d.jpg"], ["aab$c^d.jpg"]],
    ["[!a].jpg", ["b.jpg", "ä.jpg"], ["a.jpg"]],
    ["[^a-c]x", ["dx"], ["ax", "bx", "cx"]],
    ["[]]x", ["]x"], ["[x"]],
    ["[a-]x", ["ax", "-x"], ["bx"]],
    ["[[:digit:]x]", ["1", "x"], ["a", ":"]],
    ["[a", ["[a"], ["a"]],
    ["?.jpg", ["a.jpg", "𝒳.jpg"], ["ab.jpg", "..jpg"]],
    ["*", ["a", "b.c"], [".a", "a/b"]],
    [".*", [".a"], ["a"]],
    ["*.jpg", ["a.jpg"], [".jpg", "a.JPG", "a/b.jpg"]],
    ["!x.jpg", ["!x.jpg"], ["a.jpg", "x.jpg"]],
    ["(a|b).jpg", ["(a|b).jpg"], ["a.jpg"]],
    ["@(a|b).jpg", ["a.jpg", "b.jpg"], ["c.jpg"]],
    ["!(a|b).jpg", ["c.jpg", "ab.jpg"], ["a.jpg", "b.jpg", ".c.jpg"]],
    ["+(ab|c)", ["ab", "abcab"], ["", "a"]],
    ["*(*(a))", ["aaa"], ["b"]],
    ["?(a)b", ["b", "ab"], ["aab"]],
    ["\\*.jpg", ["*.jpg"], ["a.jpg"]],
    ["**", ["a", "a/b/c"], [".a", "a/.b", ".a/b"]],
    ["**/*", ["a", "a/b/c"], [".a", ".a/b"]],
    ["**/a.jpg", ["a.jpg", "x/a.jpg", "x/y/a.jpg"], ["xa.jpg", ".x/a.jpg"]],
    ["sub/**", ["sub/a", "sub/b/c"], ["sub", "subs/a"]],
    ["a/**/b/*.png", ["a/b/1.png", "a/x/y/b/1.png"], ["a/1.png", "b/1.png"]],
    ["**.jpg", ["a.jpg"], ["x/a.jpg"]],
    ["{2025/12,2026/{01,02}}/*", ["2025/12/a", "2026/02/a"], ["2026/12/a"]],
    ["./a/./*.jpg", ["a/b.jpg"], ["b.jpg"]],
    ["*/", [], ["a", "a/b"]],
    // A name that a Mac has written in pieces.
    ["ä*.jpg", ["a\u0308x.jpg"], ["ax.jpg"]],
  ])("%s", (glob, fits, not) => {
    expect(fitting(glob, [...fits, ...not])).toEqual(fits);
  });

  test("takes bounded time, with any stars and groups, on the longest name", () => {
    const name = "a".repeat(1_000);
    expect(Glob.matcher(`${"*a".repeat(240)}b`)(name)).toBe(false);
    const groups = `${"+(a|".repeat(100)}x${")".repeat(100)}*b`;
    const begun = performance.now();
    for (const glob of [
      groups,
      `${"+(a)".repeat(100)}*c*b`,
      `*(*(*(a)))*${"?".repeat(9)}b*`,
      "!(!(!(*a)*)*)*b*",
    ])
      try {
        Glob.matcher(glob)(name);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(Glob.GlobError);
      }
    expect(performance.now() - begun).toBeLessThan(20_000);
  });

  test("with a long list of braces is matched quickly against a folder of 10,000", () => {
    const names = Array.from({ length: 10_000 }, (_, i) => `IMG_${String(i).padStart(4, "0")}.jpg`);
    expect(fitting("IMG_{0001..9999}*.jpg", names)).toHaveLength(9_999);
    expect(fitting("IMG_{0001..9999}.jpg", names)).toHaveLength(9_999);
  });
});

/** bash itself, where there is one that knows these options. */
function bash(): string | undefined {
  try {
    const asked = ["-O", "extglob", "-O", "globstar", "-c", "echo {01..02}"];
    return execFileSync("bash", asked, { encoding: "utf8" }).trim() === "01 02" ? "bash" : undefined;
  } catch {
    return undefined;
  }
}

const shell = process.platform === "win32" || process.platform === "darwin" ? undefined : bash();

/** Deterministic; any numbers would do. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * below);
  };
}

/** Files for them to fit. */
const names = [
  ...[
    "m1.jpg",
    "m8.jpg",
    "m12.jpg",
    "m08.jpg",
    "01.png",
    "1.png",
    "12.png",
    "a.jpg",
    "b.jpg",
    "x.jpg",
    "ab.jpg",
  ],
  ...[
    ".hid.jpg",
    ".jpg",
    "{a}.jpg",
    "a,b.jpg",
    "(1).jpg",
    "a (1).jpg",
    "[a].jpg",
    "!a.jpg",
    "-.jpg",
    "A.JPG",
  ],
  ...["sub/a.jpg", "sub/8.png", "sub/deep/b.jpg", "sub/.h/x.jpg", "ä.jpg", "*.jpg", "a].jpg", "8.9.jpg"],
];

/** Pieces of patterns, joined at random. */
const atoms = [
  ...[
    "a",
    "b",
    "x",
    "m",
    "1",
    "8",
    ".",
    "-",
    ",",
    " ",
    "*",
    "?",
    "**",
    "/",
    "sub",
    "[ab]",
    "[!a]",
    "[^ab]",
    "[a-c]",
  ],
  ...[
    "[[:digit:]]",
    "{a,b}",
    "{,x}",
    "{8..12}",
    "{08..12}",
    "{12..8..-2}",
    "{a..c}",
    "{a,{b,x}}",
    "{a}",
    "{a",
    "}",
  ],
  ...[
    "[",
    "(1)",
    "\\*",
    "\\[",
    "{1..2,a}",
    "@(a|b)",
    "!(a)",
    "?(a|x)",
    "+(a|b)",
    "*(b|a)",
    "!(*.png)",
    ".jpg",
  ],
];

/** Patterns made of the pieces, always the same ones. */
function randomGlobs(count: number): string[] {
  const random = numbers(12);
  return Array.from({ length: count }, () => {
    const parts = Array.from({ length: 1 + random(4) }, () => atoms[random(atoms.length)]);
    return `${parts.join("")}${random(2) === 0 ? ".jpg" : ""}`;
  }).filter((glob) => !/^\/|\/\/|\/$/.test(glob));
}

/** What bash finds in the folder for each pattern, by one process: a pattern that is a syntax error ends no other. */
function bashAnswers(globs: readonly string[], dir: string): string[][] {
  // Characters without a meaning in the pattern, and parentheses of no group, are quoted.
  const quoted = (glob: string) =>
    glob.replace(/ /g, "\\ ").replace(/(?<![@?!+*])\(([^)]*)\)/g, (_, inner: string) => `\\(${inner}\\)`);
  const script = globs
    .map((glob) => `eval 'printf "%s\\0" ${quoted(glob)}' 2>/dev/null; printf '\\0\\n\\0'`)
    .join("\n");
  const options = ["extglob", "globstar", "nullglob"].flatMap((name) => ["-O", name]);
  const said = execFileSync("bash", [...options, "-s"], { cwd: dir, input: script, encoding: "utf8" });
  return said.split("\0\n\0").map((list) => list.split("\0").filter((name) => names.includes(name)));
}

test.skipIf(shell === undefined)("patterns of all kinds mean what bash makes of them", () => {
  const dir = fs.mkdtempSync(join(tmpdir(), "ocrlty glob "));
  const globs = randomGlobs(400);
  try {
    for (const name of names) {
      fs.mkdirSync(dirname(join(dir, name)), { recursive: true });
      fs.writeFileSync(join(dir, name), "");
    }
    const answers = bashAnswers(globs, dir);
    expect(answers).toHaveLength(globs.length + 1);
    const different = globs.flatMap((glob, i) => {
      const theirs = [...new Set(answers[i])].sort();
      // A file that is called like the pattern fits it here.
      const ours = fitting(glob, names).filter((name) => name !== glob || theirs.includes(name));
      return theirs.join("|") === ours.sort().join("|") ? [] : [{ glob, theirs, ours }];
    });
    expect(different).toEqual([]);
    expect(answers.filter((list) => list.length > 0).length).toBeGreaterThan(50);
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
});
