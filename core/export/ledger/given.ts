import * as Bucket from "#core/artifact/bucket";
import { invalidRequest } from "#core/error";
import * as Formats from "#core/export/formats";
import * as Issue from "#core/issue";
import * as Json from "#core/json";
import type { Log } from "#core/log";
import * as Key from "#core/run/source/key";
import * as Mapping from "./mapping.ts";

/** The caller's mapping, from a text or from below the data root. What is wrong with it is said with its place in it. */

/** @throws AppError `invalid_request`, its paths below `mapping`. */
export async function parse(text: string, format: Formats.Made): Promise<unknown> {
  const { value, problem } = Json.read(text);
  if (problem !== undefined) throw invalidRequest([{ path: "mapping", message: problem }]);
  const { mapping: schema }: Formats.Maker = await Formats.made[format].load();
  if (schema === undefined) throw invalidRequest([{ path: "mapping", message: `${format} takes none` }]);
  const checked = Issue.check(schema, value);
  if (checked.issues === undefined) return checked.data;
  const issues = checked.issues.map(({ path, message }) => ({
    path: ["mapping", path].filter(Boolean).join("."),
    message,
  }));
  throw invalidRequest(issues);
}

/**
 * @param from.key - below the data root, `<key_id>/ledger.json`; or the mapping itself, a JSON object.
 * @throws AppError `invalid_request` for one that is not there, not the viewer's, too large, or no mapping of this
 *   format; `storage_unavailable`.
 */
export async function read(
  bucket: Bucket.Bucket,
  log: Log,
  { key, format, viewer }: { key: string; format: Formats.Made; viewer: Key.Viewer },
): Promise<unknown> {
  // No key begins like this: the first name is `shared` or a key's id.
  if (key.trimStart().startsWith("{")) return parse(key, format);
  const refuse = (message: string) => invalidRequest([{ path: "mapping", message }]);
  const problem = Key.problem(key, viewer);
  if (problem !== undefined) throw refuse(problem);
  const rel = Key.dataRoot + key;
  const found = await Bucket.head(bucket, log, rel);
  if (found === undefined)
    throw refuse("there is no such file below the data root: POST /v1/uploads with kind data puts it there");
  if (found.bytes > Mapping.maxBytes)
    throw refuse(`a mapping has at most ${Mapping.maxBytes} bytes, and this has ${found.bytes}`);
  const bytes = await Bucket.get(bucket, log, rel);
  if (bytes === undefined) throw refuse("it is gone");
  return parse(Buffer.from(bytes).toString("utf8"), format);
}
