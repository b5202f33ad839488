import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { open } from "#local/lambda/log-file";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ocrlty log "));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const read = (name: string) => readFileSync(join(dir, name), "utf8");

test("a line is in the file when it has been written, and a new start appends", () => {
  const log = open(dir);
  log.write("one");
  expect(read("ocrlty.log")).toBe("one\n");
  log.close();
  const again = open(dir);
  again.write("two");
  again.close();
  again.write("after the end");
  expect(read("ocrlty.log")).toBe("one\ntwo\n");
});

test("full files are renamed, the oldest is removed, and no line is cut", () => {
  const log = open(dir, { maxBytes: 100, keep: 2 });
  const lines = Array.from({ length: 30 }, (_, number) => `line ${number} ${"x".repeat(20)}`);
  for (const line of lines) log.write(line);
  log.close();
  expect(readdirSync(dir).sort()).toEqual(["ocrlty.log", "ocrlty.log.1", "ocrlty.log.2"]);
  const kept = ["ocrlty.log.2", "ocrlty.log.1", "ocrlty.log"].flatMap((name) =>
    read(name).trim().split("\n"),
  );
  expect(kept).toEqual(lines.slice(-kept.length));
  for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).size).toBeLessThanOrEqual(100);
});
