import * as fs from "node:fs/promises";
import { join } from "node:path";

/** Removes the sources from the source maps in a folder of bundles; positions and file names stay. */
export async function withoutSources(dir: string): Promise<void> {
  const maps = (await fs.readdir(dir, { recursive: true })).filter((name) => name.endsWith(".map"));
  await Promise.all(
    maps.map(async (name) => {
      const { sourcesContent: _, ...map } = JSON.parse(await fs.readFile(join(dir, name), "utf8"));
      await fs.writeFile(join(dir, name), JSON.stringify(map));
    }),
  );
}
