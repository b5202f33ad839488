/** Writes the files of `/docs` into a folder: `launch.mjs pages DIR`. A deployment calls it. */
import { resolve } from "node:path";
import * as PagesBuild from "#local/pages/build";

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: launch.mjs pages DIR");
await PagesBuild.write(resolve(folder));
