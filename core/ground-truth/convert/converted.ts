/** A record as a converter makes it: labels of receipt_v1, by their paths (`totals.total`, `items` as rows). */
export interface Converted {
  file: string | undefined;
  fields: Record<string, unknown>;
  /** Labels of the source that have no place here, by their paths there. */
  left: string[];
}

/** A file that is converted. */
export interface Given {
  /** Its own name, with its extension. */
  name: string;
  text: string;
}

export interface Options {
  /** Label as absent what the source has a place for and says nothing of. Right where it labels all that is printed. */
  absent: boolean;
  /** The extension of pictures, for sources that name them by files of their own. */
  extension: string;
}

/** What a source is that it cannot be read as; `message` says why, without its values. */
export class ConvertError extends Error {
  override readonly name = "ConvertError";
}

/** Where a label of the source goes; undefined: nowhere. */
type Places = Readonly<Record<string, string>>;

export type Members = Record<string, unknown>;

export const isMembers = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The picture of a file that is called like it. */
export const pictureOf = ({ name }: Given, { extension }: Options): string =>
  `${name.replace(/\.[^./\\]*$/, "")}.${extension.replace(/^\./, "")}`;

/**
 * Puts labels where they go.
 * @param found - by their path in the source. @param places - source path to path here.
 */
export function placed(
  found: ReadonlyMap<string, unknown>,
  places: Places,
  { absent }: Options,
): Pick<Converted, "fields" | "left"> {
  const fields: Members = {};
  for (const [from, to] of Object.entries(places)) {
    if (found.has(from)) fields[to] ??= found.get(from);
    else if (absent) fields[to] ??= null;
  }
  return { fields, left: [...found.keys()].filter((path) => !Object.hasOwn(places, path)) };
}
