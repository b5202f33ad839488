/** A converted record: labels of receipt_v1 by their paths (`totals.total`, `items` as rows). */
export interface Converted {
  file: string | undefined;
  fields: Record<string, unknown>;
  /** The path in the source of each value that receipt_v1 has no field for; several values may have one path. */
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

/** A file that cannot be read as this source, with all of its mistakes, at least one. They contain no labels. */
export class ConvertError extends Error {
  override readonly name = "ConvertError";
  readonly file: string;
  readonly problems: readonly string[];

  constructor(file: string, problems: string | readonly string[]) {
    const all = typeof problems === "string" ? [problems] : problems;
    super(`${file}: ${all[0]}`);
    this.file = file;
    this.problems = all;
  }
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
 * The path of each value within a label: rows share one path (`items[].price`), and null and "" are no values.
 * @param path - of the label itself.
 */
export function valuesIn(path: string, label: unknown): string[] {
  if (label === undefined || label === null || label === "") return [];
  if (Array.isArray(label))
    return label.flatMap((each) => valuesIn(isMembers(each) ? `${path}[]` : path, each));
  if (!isMembers(label)) return [path];
  return Object.entries(label).flatMap(([name, each]) => valuesIn(`${path}.${name}`, each));
}

/**
 * Moves labels to their target paths. Of two labels for one target the first one with a value is taken, and the other has no
 * place.
 * @param found - labels by source path. @param places - source path to target path.
 */
export function placed(
  found: Iterable<readonly [from: string, label: unknown]>,
  places: Places,
  { absent }: Options,
): Pick<Converted, "fields" | "left"> {
  const fields: Members = {};
  const left: string[] = [];
  for (const [from, label] of found) {
    const to = Object.hasOwn(places, from) ? places[from] : undefined;
    if (to === undefined || (fields[to] !== undefined && hasValue(fields[to])))
      left.push(...valuesIn(from, label));
    else if (fields[to] === undefined || hasValue(label)) fields[to] = label;
  }
  if (absent) for (const to of Object.values(places)) fields[to] ??= null;
  return { fields, left };
}

const hasValue = (label: unknown): boolean => valuesIn("", label).length > 0;
