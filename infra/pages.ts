/** The files of `/docs`, for the bundle of the function that serves them. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { folder } from "../spec/docs-page.ts";

const from = "node_modules/.cache/ocrlty-pages";

/**
 * Makes the files, and returns which folder SST has to copy to where. They are made in a separate process: SST would
 * otherwise bundle the packages that make them, and only Node runs their TypeScript directly.
 */
export function make(): { from: string; to: string } {
  const launcher = join($cli.paths.root, "scripts", "launch.mjs");
  execFileSync(process.execPath, [launcher, "pages", join($cli.paths.root, from)], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  return { from, to: folder };
}
