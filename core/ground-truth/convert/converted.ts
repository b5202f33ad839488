/** A converted record: labels of receipt_v1 by their paths (`totals.total`, `items` as rows). */
export interface Converted {
  file: string | undefined;
  fields: Record<string, unknown>;
  /** Labels of the source that receipt_v1 has no field for, by their source paths. */
  left: string[];
}

/** A file to convert. */
export interface Given {
  /** Its own name, with its extension. */
  name: string;
  text: string;
}

export interface Options {
  /**
   * Label a field as absent if the source has that field and leaves it empty. Correct only for sources that label
   * everything that is printed.
   */
  absent: boolean;
  /** The extension of pictures, for sources whose label files are named like the pictures. */
  extension: string;
}

/** A file that cannot be read as this source; `message` says why, without values. */
export class ConvertError extends Error {
  override readonly name = "ConvertError";
}

/** The target path of each source label; undefined if it has none. */
type Places = Readonly<Record<string, string>>;

export type Members = Record<string, unknown>;

export const isMembers = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The picture's name, for a label file that is named like its picture. */
export const pictureOf = ({ name }: Given, { extension }: Options): string =>
  `${name.replace(/\.[^./\\]*$/, "")}.${extension.replace(/^\./, "")}`;

/**
 * Moves labels to their target paths.
 * @param found - labels by source path. @param places - source path to target path.
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
