/**
 * `node scripts/launch.mjs client`, which `npm pack ./packages/client` runs: bundles the client into one file of plain
 * JavaScript, because Node runs no TypeScript below node_modules.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { packageRoot } from "#local/home/home";

/** Modules that a client never uses: their imports are guarded by `isClient`, and they are not in the package. */
const leftOut = [
  "#local/loop",
  "#local/home/lock",
  "#core/document/document",
  "#core/image/budget",
  "#cli/batch/data-root",
];

/** Writes the client into this folder. @returns the files that it was bundled from, as paths in the checkout. */
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
      // Bundled CommonJS packages load Node's modules by `require`.
      js: '#!/usr/bin/env node\nimport { createRequire as ocrltyRequire } from "node:module";\nconst require = ocrltyRequire(import.meta.url);',
    },
    plugins: [
      {
        name: "no stage",
        setup(building) {
          // SST's links exist only in a checkout under `sst shell`.
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
  // Every copy has to include the license.
  fs.copyFileSync(join(packageRoot, "LICENSE"), join(folder, "LICENSE"));
}
