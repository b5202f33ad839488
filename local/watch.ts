import * as fs from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { App } from "#local/app";
import { packageRoot } from "#local/home/home";
import type { Loop } from "#local/loop";

/** The files that a function's code consists of. */
const folders = ["core", "functions", "spec"];

/** An editor writes a file in several steps, a checkout many files. */
const quietMs = 100;

/**
 * Reloads the loop when a file of the functions changes. Code that does not bundle is reported, and the old code
 * stays. A new queue or schedule needs a new start. Returns a function that stops watching.
 */
export function start(
  loop: Pick<Loop, "reload">,
  say: (line: string) => void,
  root = packageRoot,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  let running = Promise.resolve();
  const changed = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      running = running.then(() => reload(loop, say, root));
    }, quietMs);
  };
  const watchers = folders.map((folder) => {
    const watcher = fs.watch(join(root, folder), { recursive: true }, (_event, file) => {
      if (file === null || isSource(file)) changed();
    });
    watcher.on("error", (error) => say(`changes in ${folder} are not seen any more: ${error.message}`));
    return watcher;
  });
  return () => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}

/** Neither a test nor an editor's temporary file. */
function isSource(file: string): boolean {
  return !/\.test\.ts$|(^|[\\/])\.|~$|\.(swp|tmp)$/.test(file);
}

async function reload(loop: Pick<Loop, "reload">, say: (line: string) => void, root: string): Promise<void> {
  const begin = performance.now();
  try {
    await loop.reload(await current(root));
    say(`reloaded in ${Math.round(performance.now() - begin)} ms`);
  } catch (error) {
    say(`not reloaded: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The tables as they are on disk now: imported modules are cached by URL, so a new one is used. */
async function current(root: string): Promise<App> {
  const load = (file: string) =>
    import(/* @vite-ignore */ `${pathToFileURL(join(root, "spec", file)).href}?at=${Date.now()}`);
  const [functions, routes] = (await Promise.all([load("functions.ts"), load("routes.ts")])) as [
    typeof import("#spec/functions"),
    typeof import("#spec/routes"),
  ];
  return {
    functions: functions.functions,
    table: { routes: routes.routes, defaultFunction: routes.defaultFunction },
  };
}
