import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as Output from "./output.ts";

let cwd: string;
beforeEach(() => {
  cwd = fs.mkdtempSync(join(tmpdir(), "ocrlty output "));
});
afterEach(() => fs.rmSync(cwd, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }));

const file = (name: string, text = "by hand") => fs.writeFileSync(join(cwd, name), text);
const read = (name: string) => fs.readFileSync(join(cwd, name), "utf8");

describe("a file that the caller named", () => {
  test("that exists is replaced only with force, in one step", () => {
    file("a.csv");
    const exists = "a.csv exists: name another file, or add --force";
    expect(() => Output.check({ cwd }, ["a.csv"])).toThrow(exists);
    expect(() => Output.write({ cwd }, "a.csv", "new")).toThrow(exists);
    expect(read("a.csv")).toBe("by hand");
    Output.write({ cwd }, "a.csv", "new", { force: true });
    expect(read("a.csv")).toBe("new");
    expect(fs.readdirSync(cwd)).toEqual(["a.csv"]);
  });

  test("is never one that the command reads, by whatever name, not even with force", () => {
    file("labels.json");
    fs.linkSync(join(cwd, "labels.json"), join(cwd, "linked.json"));
    const rules = { force: true, inputs: ["no-file-but-a-name", "./labels.json"] };
    for (const name of ["labels.json", "./labels.json", join(cwd, "labels.json"), "linked.json"])
      expect(() => Output.check({ cwd }, [name], rules), name).toThrow("is a file that this command reads");
    if (process.platform !== "win32") {
      fs.symlinkSync("labels.json", join(cwd, "soft.json"));
      expect(() => Output.check({ cwd }, ["soft.json"], rules)).toThrow("is a file that this command reads");
    }
    expect(read("labels.json")).toBe("by hand");
  });

  test("must be in a writable folder and must not be a folder; the check leaves nothing behind", () => {
    fs.mkdirSync(join(cwd, "sub"));
    file("plain");
    expect(() => Output.check({ cwd }, ["sub"])).toThrow("sub is a folder");
    expect(() => Output.check({ cwd }, ["."])).toThrow(`${cwd} is a folder`);
    expect(() => Output.check({ cwd }, ["no/a.csv"])).toThrow("there is no folder for no/a.csv");
    expect(() => Output.check({ cwd }, ["plain/a.csv"])).toThrow(/there is no folder for|cannot be written/);
    expect(() => Output.check({ cwd }, [`${"x".repeat(300)}.csv`])).toThrow(
      /cannot be written: ENAMETOOLONG/,
    );
    Output.check({ cwd }, ["sub/a.csv", undefined, "b.csv"]);
    expect(fs.readdirSync(cwd).toSorted()).toEqual(["plain", "sub"]);
    expect(fs.readdirSync(join(cwd, "sub"))).toEqual([]);
  });

  // A process of root may write anywhere.
  test.skipIf(process.platform === "win32" || process.getuid?.() === 0)(
    "in a folder without the right to write is refused beforehand",
    () => {
      fs.mkdirSync(join(cwd, "locked"), { mode: 0o500 });
      expect(() => Output.check({ cwd }, ["locked/a.csv"])).toThrow("locked/a.csv cannot be written: EACCES");
    },
  );

  test.runIf(fs.existsSync("/proc/version"))("on a read-only file system is refused beforehand", () => {
    expect(() => Output.check({ cwd }, ["/proc/a.csv"])).toThrow(/\/proc\/a\.csv cannot be written: E[A-Z]+/);
  });

  test("must have another name than the other files", () => {
    expect(() => Output.check({ cwd }, ["a.csv", "./a.csv"])).toThrow("a.csv is named for two files");
  });

  test.runIf(fs.existsSync("/dev/null"))(
    "may be a device or a pipe, which is written to and not replaced",
    () => {
      Output.write({ cwd }, "/dev/null", "text");
      expect(fs.statSync("/dev/null").isCharacterDevice()).toBe(true);
    },
  );
});
