import * as fs from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { packageRoot } from "#local/home";
import type { App, Loop } from "#local/loop";

/** What a function's code is made of. */
const folders = ["core", "functions", "infra"];

/** An editor writes a file in several steps, a checkout many files. */
const quietMs = 100;

/**
 * Reloads the loop when a file of the functions changes. Code that does not bundle is told and the old one goes
 * on. Returns a function that stops watching.
 */
export function start(loop: Pick<Loop, "reload">, say: (line: string) => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  let running = Promise.resolve();
  const watchers = folders.map((folder) =>
    fs.watch(join(packageRoot, folder), { recursive: true }, (_event, file) => {
      if (file === null || /\.test\.ts$|[\\/]\.|~$/.test(file)) return;
      clearTimeout(timer);
      timer = setTimeout(() => {
        running = running.then(() => reload(loop, say));
      }, quietMs);
    }),
  );
  return () => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}

async function reload(loop: Pick<Loop, "reload">, say: (line: string) => void): Promise<void> {
  const begin = performance.now();
  try {
    await loop.reload(await current());
    say(`reloaded in ${Math.round(performance.now() - begin)} ms`);
  } catch (error) {
    say(`not reloaded: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The tables as they are on disk now: a module that was imported once is kept under its address, so it gets a new one. */
async function current(): Promise<App> {
  const load = (file: string) =>
    import(`${pathToFileURL(join(packageRoot, "infra", file)).href}?at=${Date.now()}`);
  const [limits, routes] = (await Promise.all([load("limits.ts"), load("routes.ts")])) as [
    typeof import("#infra/limits"),
    typeof import("#infra/routes"),
  ];
  return {
    functions: limits.functions,
    table: { routes: routes.routes, defaultFunction: routes.defaultFunction },
  };
}
