/** The table of measures: each finds places, and its value is their number. */
import * as Arrows from "./arrows.ts";
import * as Duplicates from "./duplicates.ts";
import * as Names from "./names.ts";
import * as Readers from "./readers.ts";
import * as Size from "./size.ts";
import type { Offender, Tree } from "./tree.ts";

interface Measure {
  readonly about: string;
  readonly find: (tree: Tree) => Offender[];
}

const { fileLines, functionLines, parameters, siblings } = Size.limits;

export const measures = {
  "long-files": {
    about: `product files over ${fileLines} lines`,
    find: (tree) => Size.longFiles(tree, "product"),
  },
  "long-test-files": {
    about: `test files over ${fileLines} lines`,
    find: (tree) => Size.longFiles(tree, "test"),
  },
  "long-functions": {
    about: `product functions over ${functionLines} lines`,
    find: (tree) => Size.longFunctions(tree, "product"),
  },
  "long-test-functions": {
    about: `functions of tests over ${functionLines} lines (not describe)`,
    find: (tree) => Size.longFunctions(tree, "test"),
  },
  parameters: { about: `functions with more than ${parameters} parameters`, find: Size.manyParameters },
  "file-circles": { about: "circles of files", find: Arrows.fileCircles },
  "room-circles": { about: "circles of rooms (folders)", find: Arrows.roomCircles },
  upward: { about: "imports upward between houses", find: Arrows.upwardHouses },
  "upward-core": { about: "imports upward inside core", find: Arrows.upwardInCore },
  "core-infra": { about: "imports of infra by core", find: Arrows.coreToInfra },
  tables: { about: "tables named in SQL outside their noun", find: Arrows.foreignTables },
  siblings: { about: `rooms with more than ${siblings} product files`, find: Size.crowdedRooms },
  unread: { about: "exported values that no file reads", find: Readers.unreadValues },
  "unread-types": { about: "exported types that no file names", find: Readers.unreadTypes },
  "unread-but-tests": { about: "exports that only tests read", find: Readers.readByTests },
  references: { about: "references that lead nowhere", find: Names.deadReferences },
  duplicates: {
    about: `duplicates of ${Duplicates.leastLines} lines and more, product`,
    find: (tree) => Duplicates.duplicates(tree, "product"),
  },
  "test-duplicates": {
    about: `duplicates of ${Duplicates.leastLines} lines and more, tests`,
    find: (tree) => Duplicates.duplicates(tree, "test"),
  },
  aliases: { about: "star imports under another name than the file's", find: Names.otherAliases },
  twins: { about: "files beside a folder of the same name", find: Names.filesBesideFolders },
} satisfies Record<string, Measure>;

export type MeasureName = keyof typeof measures;
export const names = Object.keys(measures) as MeasureName[];

/** A place in the form that editors open. */
export const text = ({ path, line, what }: Offender) =>
  `${path}${line === undefined ? "" : `:${line}`} ${what}`;
