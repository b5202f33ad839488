import { fileURLToPath } from "node:url";

const cache = fileURLToPath(new URL("../node_modules/.cache/", import.meta.url));

/**
 * How the TypeScript compiler is called. Each checker checks the packages' types again, so the default of four takes
 * half as many processor seconds more than one. Files that have not changed since the last run, by content, are not
 * checked again.
 * @param name - the project's; each has its own build info file
 */
export const flags = (name: string): string[] => [
  "--noEmit",
  ...["--checkers", "1"],
  ...["--incremental", "--tsBuildInfoFile", `${cache}ocrlty-types-${name}.tsbuildinfo`],
];
