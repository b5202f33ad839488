/**
 * Records the sources of a set of bundles, so that a start without changes bundles nothing: bundling takes longer than
 * the rest of a start.
 */
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs/promises";
import { join, sep } from "node:path";
import { version } from "esbuild";
import { packageRoot } from "#local/home/home";

/** What a bundle consists of. */
export interface Parts {
  /** Names of its files. */
  readonly files: readonly string[];
  /** The total size of the files that are loaded at the start. */
  readonly bytes: number;
}

export interface Built {
  /** Name of the bundles' folder. */
  readonly folder: string;
  /** Name of a file in it → its size. */
  readonly bytes: Readonly<Record<string, number>>;
  /** Name of a bundle's first file → the bundle. */
  readonly functions: Readonly<Record<string, Parts>>;
}

interface Stored extends Built {
  /** Path of a source → fingerprint. */
  readonly inputs: Readonly<Record<string, string>>;
}

/** What else determines a bundle: this program, the bundler, and the files that resolve names. */
const deciding = [
  ...["package.json", "package-lock.json", "tsconfig.json"],
  join("local", "bundle", "bundle.ts"),
];

/** A file that changed so shortly before the bundling may have been read in its old state. */
const clockMs = 2_000;

/** The name of a record: different for other sources, options, dependencies or tools. */
export async function key(parts: readonly string[]): Promise<string> {
  const files = await Promise.all(deciding.map((name) => fs.readFile(join(packageRoot, name))));
  const hash = createHash("sha256").update(JSON.stringify([version, ...parts]));
  for (const file of files) hash.update(createHash("sha256").update(file).digest());
  return hash.digest("hex").slice(0, 20);
}

/** The record, if all its sources are unchanged. */
export async function read(path: string): Promise<Built | undefined> {
  const stored = await fs.readFile(path, "utf8").then(
    (text): Stored => JSON.parse(text),
    () => undefined,
  );
  if (stored === undefined) return undefined;
  const same = await Promise.all(
    Object.entries(stored.inputs).map(async ([input, before]) => (await fingerprint(input)) === before),
  );
  return same.every(Boolean) ? stored : undefined;
}

/** Notes what the bundles were made of, unless a source changed while they were made (since `begin`, Unix ms). */
export async function write(
  path: string,
  record: Built,
  inputs: readonly string[],
  begin: number,
): Promise<void> {
  const changed = await Promise.all(
    inputs.map((input) =>
      fs.stat(input).then(
        ({ mtimeMs }) => mtimeMs > begin - clockMs,
        () => true,
      ),
    ),
  );
  if (changed.includes(true)) return;
  const prints = await Promise.all(inputs.map(async (input) => [input, await fingerprint(input)]));
  const stored: Stored = { ...record, inputs: Object.fromEntries(prints) };
  const draft = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  await fs.writeFile(draft, JSON.stringify(stored));
  // Windows refuses while another process reads it; then the next start bundles again.
  await fs.rename(draft, path).catch(() => fs.rm(draft, { force: true }));
}

/** For our own sources the content counts; packages are replaced as a whole, so size and date are enough for them. */
async function fingerprint(path: string): Promise<string> {
  try {
    if (path.includes(`${sep}node_modules${sep}`)) {
      const { size, mtimeMs } = await fs.stat(path);
      return `${size}-${mtimeMs}`;
    }
    return createHash("sha256")
      .update(await fs.readFile(path))
      .digest("base64");
  } catch {
    return "missing";
  }
}
