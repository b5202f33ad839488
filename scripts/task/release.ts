/** Releases a task: writes its hashes, which must not change afterwards, and the table of all tasks. */
import * as fs from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Definition } from "#core/task/definition/definition";
import * as Lint from "#core/task/lint";
import * as Task from "#core/task/task";

/** Why a task cannot be released, for the person at the terminal. */
export class ReleaseError extends Error {}

const folderOf = (root: string) => join(root, "core", "task");

/**
 * Writes `released.json` of the task and `registry.ts`, if they are missing or out of date.
 * @param id - the name of a folder in core/task with a `definition.ts`.
 * @returns the files that were written, below the root.
 * @throws ReleaseError for a folder without a definition, a schema that not every model server supports, and a schema
 *   or prompt that differs from the released one: the meaning of an id that callers and stored results use never
 *   changes.
 */
export async function release(root: string, id: string): Promise<string[]> {
  const file = join(folderOf(root), id, "definition.ts");
  if (!/^[a-z][a-z0-9_]*_v[1-9]\d*$/.test(id))
    throw new ReleaseError(`a task's id is a name and a version, such as receipt_v2; this is ${id}`);
  if (!fs.existsSync(file)) throw new ReleaseError(`core/task/${id} has no definition.ts`);
  const { definition } = (await import(pathToFileURL(file).href)) as { definition: Definition };
  const task = Task.build(id, definition);
  const { issues } = Lint.portable(task.modelSchema);
  if (issues.length > 0)
    throw new ReleaseError(
      [
        "the schema has what not every model server knows:",
        ...issues.map((issue) => JSON.stringify(issue)),
      ].join("\n"),
    );
  const released = join(folderOf(root), id, "released.json");
  const hashes = hashesOf(task);
  if (fs.existsSync(released) && read(released) !== hashes)
    throw new ReleaseError(
      `core/task/${id} was released with another schema or prompt. Put it back; what is new is a task of its own, ${next(id)}`,
    );
  return [write(released, hashes), write(join(folderOf(root), "registry.ts"), registry(root, id))].flatMap(
    (path) => (path === undefined ? [] : [path.slice(root.length + 1).replaceAll("\\", "/")]),
  );
}

/** The text of `released.json`. */
function hashesOf({ schemaSha256, modelSchemaSha256, promptSha256 }: Task.Task): string {
  const hashes = {
    schema_sha256: schemaSha256,
    model_schema_sha256: modelSchemaSha256,
    prompt_sha256: promptSha256,
  };
  return `${JSON.stringify(hashes, undefined, 2)}\n`;
}

/** The text of `registry.ts`: every released task, and the one that is being released. */
export function registry(root: string, releasing?: string): string {
  const ids = fs
    .readdirSync(folderOf(root))
    .filter((name) => name === releasing || fs.existsSync(join(folderOf(root), name, "released.json")))
    .toSorted();
  return [
    "// Written by `npm run task -- release ID`: every task by its id, for a bundler cannot look into folders.",
    ...ids.map((id) => `export { definition as ${id} } from "./${id}/definition.ts";`),
    "",
  ].join("\n");
}

const read = (path: string) => fs.readFileSync(path, "utf8").replaceAll("\r\n", "\n");

/** @returns the path; undefined if the file already had this text. */
function write(path: string, text: string): string | undefined {
  if (fs.existsSync(path) && read(path) === text) return undefined;
  fs.writeFileSync(path, text);
  return path;
}

const next = (id: string) => id.replace(/\d+$/, (version) => `${Number(version) + 1}`);
