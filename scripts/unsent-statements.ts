import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));

/**
 * The places in core that send a statement, as `file:line`, without those in `sent`. With the places from a full test
 * run, these are the statements whose query plans test/support/plans.ts has not checked.
 */
export function unsent(sent: readonly string[]): string[] {
  const known = new Set(sent);
  return globSync("core/**/*.ts", { cwd: root })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => !/(\.test|-for-tests)\.ts$/.test(file))
    .flatMap((file) =>
      readFileSync(join(root, file), "utf8")
        .split("\n")
        .flatMap((line, i) => (/\bDatabase\.(batch|read|guard)\(/.test(line) ? [`${file}:${i + 1}`] : [])),
    )
    .filter((site) => !known.has(site))
    .toSorted();
}
