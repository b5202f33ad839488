/**
 * `node scripts/launch.mjs client`, which `npm pack ./packages/client` runs by itself: makes the client that is packed,
 * one file of plain JavaScript, because Node runs no TypeScript below node_modules.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { packageRoot } from "#local/home/home";

/** What a client never comes to: guarded by `isClient` where it is imported, and not there to be loaded. */
const leftOut = [
  "#local/loop",
  "#local/home/lock",
  "#core/image/image",
  "#core/image/budget",
  "#cli/batch/data-root",
];

/** Writes the client into this folder. @returns what became part of it, by path in the checkout. */
async function bundle(folder: string): Promise<string[]> {
  const outfile = join(folder, "ocrlty.js");
  const { metafile } = await build({
    absWorkingDir: packageRoot,
    entryPoints: ["cli/client-main.ts"],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "inline",
    metafile: true,
    logLevel: "error",
    external: leftOut,
    banner: {
      // Packages of CommonJS that were made part of it ask for Node's own modules in their way.
      js: '#!/usr/bin/env node\nimport { createRequire as ocrltyRequire } from "node:module";\nconst require = ocrltyRequire(import.meta.url);',
    },
    plugins: [
      {
        name: "no stage",
        setup(building) {
          // SST's links are of a checkout under `sst shell`.
          building.onResolve({ filter: /^sst\/resource$/ }, ({ path }) => ({ path, namespace: "none" }));
          building.onLoad({ filter: /.*/, namespace: "none" }, () => ({
            contents: "export const Resource = {};",
          }));
        },
      },
    ],
  });
  fs.chmodSync(outfile, 0o755);
  return Object.keys(metafile.inputs);
}

if (import.meta.main) {
  const folder = join(packageRoot, "packages", "client");
  await bundle(join(folder, "dist"));
  // The license goes along with every copy.
  fs.copyFileSync(join(packageRoot, "LICENSE"), join(folder, "LICENSE"));
}
