/** What `/docs` is made of, for the bundle of the function that answers it. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { folder } from "../spec/docs-page.ts";

const from = "node_modules/.cache/ocrlty-pages";

/**
 * Makes the files and says which folder SST has to copy to where. In a process of its own: what makes them are packages
 * that SST would otherwise pack into its program, and TypeScript that Node alone runs as it is.
 */
export function make(): { from: string; to: string } {
  const launcher = join($cli.paths.root, "scripts", "launch.mjs");
  execFileSync(process.execPath, [launcher, "pages", join($cli.paths.root, from)], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  return { from, to: folder };
}
