import * as fs from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { root } from "#scripts/sst-platform";
import { pdfium } from "#spec/pdfium";
import type { Stages } from "./stages.ts";

/**
 * The tests of the files beside the docs function's bundle. infra.test.ts runs them, so that the stages are made
 * once.
 */
export function pagesTests(stages: () => Stages): void {
  test("the files of /docs are copied beside the bundle of their function, and the decoder of PDFs beside the functions that read them", () => {
    const { production, staging, anna, live } = stages();
    const from = join(root, "node_modules", ".cache", "ocrlty-pages");
    for (const stage of [production, staging, anna, live]) {
      const copied = stage.builds.flatMap(({ functionID, copyFiles = [] }) =>
        copyFiles.map((entry) => [functionID, entry]),
      );
      const wasm = { from: join(root, pdfium.path), to: pdfium.name, isDir: false };
      const decoders = ["Extract", "Item", "Single", "Evals"].map((name) => [name, wasm]);
      expect(new Map(copied as [string, unknown][])).toEqual(
        new Map([["Docs", { from, to: "pages", isDir: true }], ...(decoders as [string, typeof wasm][])]),
      );
      expect(copied.length).toBe(decoders.length + 1);
    }
    const files = fs.readdirSync(from, { recursive: true }).map((file) => String(file).replaceAll("\\", "/"));
    for (const name of ["reference.html", "quickstart.html", "quickstart.md", "llms.txt", "openapi.json"])
      expect(files).toContain(`${name}.gz`);
    // The files that the pages request.
    const page = gunzipSync(fs.readFileSync(join(from, "reference.html.gz"))).toString("utf8");
    const assets = [...page.matchAll(/\/docs\/(assets\/[\w.-]+)/g)].map(([, name]) => `${name}.gz`);
    expect(assets.length).toBe(2);
    for (const name of assets) expect(files).toContain(name);
  });
}
