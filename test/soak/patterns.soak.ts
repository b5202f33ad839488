/** Checks that the patterns of docs/openapi.json compile in the engines of other languages and match the same texts. */
import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { patternsOf } from "#test/support/patterns";
import document from "../../docs/openapi.json" with { type: "json" };

const patterns = patternsOf(document);
const samples = [
  ...[
    "",
    "a",
    "0",
    "-",
    "a.b",
    "A_b-1",
    "a~1",
    "a~01",
    "a/b",
    "/a",
    "a/",
    "..",
    ".a",
    "a\\b",
    "a b",
    "é",
    "漢字",
  ],
  ...["a\u0000", "a\tb", "a\u0085b", ".png", "PNG", "upload_3q2W1x9vT0aZ8yB7cD6eF5gH", "a".repeat(300)],
];
const here = patterns.map((pattern) => samples.map((sample) => new RegExp(pattern).test(sample)));

const python = `
import json, re, sys
given = json.load(sys.stdin)
print(json.dumps([[re.search(p, s) is not None for s in given["samples"]] for p in given["patterns"]]))
`;
const go = `package main

import (
	"encoding/json"
	"os"
	"regexp"
)

func main() {
	var given struct{ Patterns, Samples []string }
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		panic(err)
	}
	all := [][]bool{}
	for _, pattern := range given.Patterns {
		built := regexp.MustCompile(pattern)
		row := []bool{}
		for _, sample := range given.Samples {
			row = append(row, built.MatchString(sample))
		}
		all = append(all, row)
	}
	json.NewEncoder(os.Stdout).Encode(all)
}
`;

const judges = {
  python3: { file: "judge.py", source: python, args: [] },
  go: { file: "judge.go", source: go, args: ["run"] },
};

for (const [command, { file, source, args }] of Object.entries(judges)) {
  const there = await promisify(execFile)(command, [command === "go" ? "version" : "--version"]).then(
    () => true,
    () => false,
  );
  if (!there) console.warn(`skipped: there is no ${command}`);
  test.skipIf(!there)(`${command} builds every pattern, and matches what is matched here`, async () => {
    const dir = await mkdtemp(join(tmpdir(), "ocrlty-patterns-"));
    try {
      await writeFile(join(dir, file), source);
      const child = spawn(command, [...args, join(dir, file)], {
        cwd: dir,
        stdio: ["pipe", "pipe", "inherit"],
      });
      child.stdin.end(JSON.stringify({ patterns, samples }));
      let text = "";
      for await (const piece of child.stdout.setEncoding("utf8")) text += piece;
      expect(JSON.parse(text)).toEqual(here);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
}
