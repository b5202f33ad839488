/**
 * The forms of a run's tables. They are stored once, with commas and without a byte order mark, and converted on output
 * (convert.ts).
 */
export const names = ["comma", "semicolon", "tab"] as const;
export type Name = (typeof names)[number];

export interface Dialect {
  name: Name;
  byteOrderMark: boolean;
}

/** The form in the bucket. */
export const stored: Dialect = { name: "comma", byteOrderMark: false };

/** True if no conversion is needed. */
export const isStored = ({ name, byteOrderMark }: Dialect) => name === "comma" && !byteOrderMark;
