import * as Bucket from "#core/bucket/bucket";
import { invalidRequest } from "#core/error";
import type * as Formats from "#core/export/formats";
import * as Mapping from "#core/export/ledger/mapping";
import type { Log } from "#core/log";
import * as DataRoot from "#core/upload/data-root";
import * as Given from "./given.ts";

/**
 * A mapping that an API call names.
 * @param from.key - key below the data root, `<key_id>/ledger.json`, or the mapping itself as a JSON object.
 * @throws AppError `invalid_request` if it does not exist, is not the caller's, is too large, or is not a mapping of
 *   this format; `storage_unavailable`.
 */
export async function read(
  bucket: Bucket.Bucket,
  log: Log,
  { key, format, viewer }: { key: string; format: Formats.Made; viewer: DataRoot.Viewer },
): Promise<unknown> {
  // No key begins with a brace: its first part is `shared` or a key's id.
  if (key.trimStart().startsWith("{")) return Given.parse(key, format);
  const refuse = (message: string) => invalidRequest([{ path: "mapping", message }]);
  const problem = DataRoot.problem(key, viewer);
  if (/^\s*\[|[\n:]/.test(key))
    throw refuse('is a JSON object, {"…": …}, or the key of a file that holds one');
  if (problem !== undefined) throw refuse(problem);
  const rel = DataRoot.dataRoot + key;
  const found = await Bucket.head(bucket, log, rel);
  if (found === undefined)
    throw refuse("there is no such file below the data root: POST /v1/uploads with kind data puts it there");
  if (found.bytes > Mapping.maxBytes)
    throw refuse(`a mapping has at most ${Mapping.maxBytes} bytes, and this has ${found.bytes}`);
  const bytes = await Bucket.get(bucket, log, rel);
  if (bytes === undefined) throw refuse("it is gone");
  return Given.parse(bytes, format);
}
