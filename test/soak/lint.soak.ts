/**
 * Checks docs/openapi.json with common linters: Redocly's strictest rules (`npm test` uses them as a library) and
 * Spectral's. Spectral needs 250 packages, so it is fetched only here.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { packageRoot } from "#local/home/home";

const document = join(packageRoot, "docs", "openapi.json");
const run = promisify(execFile);
const npx = (dir: string, name: string, args: string[]) =>
  run("npm", ["exec", "--yes", `--package=${name}`, "--", ...args], {
    ...{ cwd: dir, shell: process.platform === "win32", maxBuffer: 64 * 1024 * 1024 },
  });
const there = await npx(tmpdir(), "@stoplight/spectral-cli@6.16.3", ["spectral", "--version"]).then(
  () => true,
  () => false,
);
if (!there) console.warn("skipped: the linters cannot be installed");

test.skipIf(!there)("Spectral and Redocly find nothing, warnings and hints included", async () => {
  const dir = await mkdtemp(join(tmpdir(), "ocrlty-lint-"));
  try {
    const rules = {
      extends: [["spectral:oas", "all"]],
      rules: {
        // Exceptions: a license has an identifier or a URL; the operator of a server is unknown here; tags are
        // ordered by importance.
        ...{ "license-url": "off", "contact-properties": "off", "openapi-tags-alphabetical": "off" },
        // In OpenAPI 3.1 every scheme may have scopes ("roles"); the rule is from 3.0.
        "oas3-operation-security-defined": "off",
      },
    };
    await writeFile(join(dir, ".spectral.json"), JSON.stringify(rules));
    const spectral = await npx(dir, "@stoplight/spectral-cli@6.16.3", [
      ...["spectral", "lint", document, "--format", "json", "--fail-severity", "hint", "--quiet"],
      ...["--ruleset", join(dir, ".spectral.json")],
    ]).catch((error: { stdout: string; stderr: string }) => error);
    const found = JSON.parse(spectral.stdout || "[]") as { code: string; message: string; path: string[] }[];
    expect(found.map(({ code, message, path }) => `${code} ${message} ${path.join("/")}`)).toEqual([]);
    await writeFile(join(dir, "redocly.yaml"), "extends: [recommended-strict]\n");
    const redocly = await npx(dir, "@redocly/cli@2.77.0", [
      ...["redocly", "lint", document, "--config", join(dir, "redocly.yaml"), "--format", "json"],
    ]).catch((error: { stdout: string; stderr: string }) => error);
    expect(JSON.parse(redocly.stdout).problems).toEqual([]);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
