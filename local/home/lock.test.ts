import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { packageRoot } from "./home.ts";
import { acquire, HeldError } from "./lock.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ocrlty lock "));
});
afterEach(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));

test("a folder has one holder at a time, in one process as well", () => {
  const lock = acquire(dir);
  expect(() => acquire(dir)).toThrow(HeldError);
  expect(() => acquire(dir)).toThrow(`another loop runs in ${dir}`);
  lock.release();
  lock.release();
  acquire(dir).release();
});

test("another process is kept out while the holder lives, and kill -9 of the holder frees the folder", async () => {
  const program = `
    const { acquire } = await import("./local/home/lock.ts");
    acquire(${JSON.stringify(dir)});
    console.log("held");
    setInterval(() => {}, 1000);
  `;
  const holder = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", program],
    {
      cwd: packageRoot,
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  await once(holder.stdout, "data");
  expect(() => acquire(dir)).toThrow(HeldError);
  holder.kill("SIGKILL");
  await vi.waitFor(() => acquire(dir).release(), { timeout: 2_000 });
});
