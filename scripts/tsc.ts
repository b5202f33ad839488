import { fileURLToPath } from "node:url";

const cache = fileURLToPath(new URL("../node_modules/.cache/", import.meta.url));

/**
 * How TypeScript is asked. Each checker checks the types of packages that it meets itself, so that four, the default,
 * take half as many processor seconds again as one. What has not changed since the last run is not checked again: files
 * are compared by content.
 * @param name - of the project; each keeps a file of its own
 */
export const flags = (name: string): string[] => [
  "--noEmit",
  ...["--checkers", "1"],
  ...["--incremental", "--tsBuildInfoFile", `${cache}ocrlty-types-${name}.tsbuildinfo`],
];
