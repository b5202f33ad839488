/** Shared by tests of commands about pictures and runs: a folder, a server that answers like ours, and the command. */
import * as fs from "node:fs";
import { join } from "node:path";
import { serve } from "./batch-api.ts";
import { open, pictureOf } from "./batch-cli.ts";

export async function start() {
  const cli = open();
  const api = await serve();
  const env = () => ({ OCRLTY_URL: api.url, OCRLTY_API_KEY: "key-1" });
  const batch = (args: string[], more: { signal?: AbortSignal; onSay?: (line: string) => void } = {}) =>
    cli.run(["batch", ...args], { env: env(), ...more });
  const pictures = (...names: string[]) => {
    for (const name of names) cli.file(`in/${name}`, pictureOf(name));
  };
  const calls = (method: string, path: RegExp) =>
    api.seen.filter((seen) => seen.method === method && path.test(seen.path));
  const states = () => {
    const dir = join(cli.dir, "home/batches");
    return fs.existsSync(dir) ? fs.readdirSync(dir) : [];
  };
  const idOf = () => [...api.runs.keys()][0] ?? "";
  return {
    cli,
    api,
    env,
    batch,
    pictures,
    calls,
    states,
    idOf,
    close: async () => {
      await api.close();
      cli.remove();
    },
  };
}
export type Rig = Awaited<ReturnType<typeof start>>;
