import * as z from "zod";
import { invalidRequest } from "#core/error";

/** The end of a page: a time that a Date can hold, and an id, which decides among equal times. */
export const Place = z.tuple([z.int().min(0).max(8.64e15), z.string().max(128)]);

/** A place in a list as an opaque text for callers. */
export const encode = (place: unknown): string => Buffer.from(JSON.stringify(place)).toString("base64url");

/**
 * A page of rows that were read with one more, and the cursor after its last row; null at the end.
 * @param placeOf - a row's place in the order of the list.
 */
export function page<R>(
  rows: readonly R[],
  limit: number,
  placeOf: (row: R) => unknown,
): { shown: R[]; next_cursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const isMore = rows.length > limit && last !== undefined;
  return { shown, next_cursor: isMore ? encode(placeOf(last)) : null };
}

/**
 * The place in a cursor; undefined without a cursor. @throws AppError `invalid_request` for a cursor that is not of
 * this list.
 */
export function decode<T>(schema: z.ZodType<T>, cursor: string | undefined): T | undefined {
  if (cursor === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")));
  } catch {
    throw invalidRequest([
      {
        path: "cursor",
        message:
          "is not a cursor of this list: take next_cursor of the page before as it is, or leave it out",
      },
    ]);
  }
}
