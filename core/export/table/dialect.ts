/**
 * The forms of a run's tables: they are stored once, with commas and without a byte order mark, and take another
 * form on their way out (convert.ts).
 */
export const names = ["comma", "semicolon", "tab"] as const;
export type Name = (typeof names)[number];

export interface Dialect {
  name: Name;
  byteOrderMark: boolean;
}

/** What lies in the bucket. */
export const stored: Dialect = { name: "comma", byteOrderMark: false };

/** True where nothing is to be converted. */
export const isStored = ({ name, byteOrderMark }: Dialect) => name === "comma" && !byteOrderMark;
