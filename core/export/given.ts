import { invalidRequest } from "#core/error";
import * as Formats from "#core/export/formats";
import type * as Maker from "#core/export/table/maker";
import * as Issue from "#core/issue";
import * as Json from "#core/json";
import * as Utf8 from "#core/utf8";

/**
 * The caller's mapping, as text or as the bytes of its file. Mistakes are reported with their place in it.
 * @throws AppError `invalid_request` with paths below `mapping`.
 */
export async function parse(given: string | Uint8Array, format: Formats.Made): Promise<unknown> {
  const { text, problem: encoding } = typeof given === "string" ? { text: given } : Utf8.read(given);
  if (encoding !== undefined)
    throw invalidRequest([{ path: "mapping", message: `${encoding}: save it as UTF-8` }], {
      details: { reason: Utf8.reason },
    });
  const { value, problem } = Json.read(text);
  if (problem !== undefined) throw invalidRequest([{ path: "mapping", message: problem }]);
  const { mapping: schema }: Maker.Maker = await Formats.made[format].load();
  if (schema === undefined) throw invalidRequest([{ path: "mapping", message: `${format} takes none` }]);
  const checked = Issue.check(schema, value);
  if (checked.issues === undefined) return checked.data;
  const issues = checked.issues.map(({ path, message }) => ({
    path: ["mapping", path].filter(Boolean).join("."),
    message,
  }));
  throw invalidRequest(issues);
}
