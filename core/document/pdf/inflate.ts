import { constants, inflateSync } from "node:zlib";
import type { Dict, Value } from "./syntax.ts";

/*
 * Data of streams of the structure: cross-reference streams, object streams, attached files. They are compressed by
 * Flate, with or without a predictor, or not at all; other filters are for pictures.
 */

/** The stream has a filter that is not read here. */
class FilterFault extends Error {}

/**
 * Undoes the filters of a stream (ISO 32000-2, section 7.4).
 * @param most - bytes that may come out; RangeError above.
 * @throws FilterFault; Error of zlib for data that is broken.
 */
export function unfiltered(data: Uint8Array, dict: Dict, most: number): Uint8Array {
  const filters = listOf(dict.get("Filter"));
  const parameters = listOf(dict.get("DecodeParms"));
  let result = data;
  for (const [i, filter] of filters.entries()) {
    if (filter !== "/FlateDecode" && filter !== "/Fl") throw new FilterFault(String(filter));
    // Many writers end a stream too early or without its checksum.
    result = inflateSync(result, { maxOutputLength: most, finishFlush: constants.Z_SYNC_FLUSH });
    const parameter = parameters[i];
    if (parameter instanceof Map) result = unpredicted(result, parameter);
  }
  if (result.length > most) throw new RangeError("the stream is longer than allowed");
  return result;
}

const listOf = (value: Value | undefined): Value[] =>
  value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];

const numberOf = (dict: Dict, key: string, otherwise: number) => {
  const value = dict.get(key);
  return typeof value === "number" ? value : otherwise;
};

/** Undoes the predictors of PNG, each row of which begins with its kind; TIFF's is not used for structure. */
function unpredicted(data: Uint8Array, parameters: Dict): Uint8Array {
  const predictor = numberOf(parameters, "Predictor", 1);
  if (predictor === 1) return data;
  if (predictor < 10) throw new FilterFault("predictor of TIFF");
  const pixel = Math.max(
    1,
    (numberOf(parameters, "Colors", 1) * numberOf(parameters, "BitsPerComponent", 8)) >> 3,
  );
  const row = numberOf(parameters, "Columns", 1) * pixel;
  if (!(row > 0) || row > data.length) throw new FilterFault("rows longer than the data");
  const rows = Math.floor(data.length / (row + 1));
  const result = new Uint8Array(rows * row);
  for (let y = 0; y < rows; y += 1) {
    const kind = data[y * (row + 1)];
    for (let x = 0; x < row; x += 1) {
      const at = y * row + x;
      const left = x >= pixel ? (result[at - pixel] as number) : 0;
      const up = y > 0 ? (result[at - row] as number) : 0;
      const corner = x >= pixel && y > 0 ? (result[at - row - pixel] as number) : 0;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][kind ?? 0] ?? 0;
      result[at] = ((data[y * (row + 1) + 1 + x] as number) + guess) & 255;
    }
  }
  return result;
}

function paeth(left: number, up: number, corner: number): number {
  const estimate = left + up - corner;
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - up), Math.abs(estimate - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}
