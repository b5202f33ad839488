/** The sizes of files, functions, parameter lists and folders. */
import type { Offender, Source, Tree } from "./tree.ts";

type Kind = Source["kind"];

export const limits = { fileLines: 400, functionLines: 60, parameters: 4, siblings: 20 } as const;

const of = (tree: Tree, kind: Kind) => tree.sources.filter((source) => source.kind === kind);

export function longFiles(tree: Tree, kind: Kind): Offender[] {
  return of(tree, kind)
    .filter(({ lines }) => lines > limits.fileLines)
    .toSorted((a, b) => b.lines - a.lines)
    .map(({ path, lines }) => ({ path, what: `${lines} lines` }));
}

/** A nested function counts as part of its parent and on its own; the callback of a `describe` does not count. */
export function longFunctions(tree: Tree, kind: Kind): Offender[] {
  return of(tree, kind)
    .flatMap(({ path, functions }) => functions.map((one) => ({ ...one, path })))
    .filter(({ lines, isDescribe }) => lines > limits.functionLines && !isDescribe)
    .toSorted((a, b) => b.lines - a.lines)
    .map(({ path, line, name, lines }) => ({ path, line, what: `${name}: ${lines} lines` }));
}

export function manyParameters(tree: Tree): Offender[] {
  return of(tree, "product")
    .flatMap(({ path, functions }) => functions.map((one) => ({ ...one, path })))
    .filter(({ parameters }) => parameters > limits.parameters)
    .toSorted((a, b) => b.parameters - a.parameters)
    .map(({ path, line, name, parameters }) => ({ path, line, what: `${name}: ${parameters} parameters` }));
}

/** Folders with too many product files. */
export function crowdedRooms(tree: Tree): Offender[] {
  return rooms(tree)
    .filter(({ files }) => files > limits.siblings)
    .map(({ room, files }) => ({ path: room, what: `${files} files side by side` }));
}

/** The folders with their product files, the fullest first. */
function rooms(tree: Tree): { room: string; files: number }[] {
  const counts = Map.groupBy(of(tree, "product"), ({ room }) => room);
  return [...counts]
    .map(([room, sources]) => ({ room, files: sources.length }))
    .toSorted((a, b) => b.files - a.files || a.room.localeCompare(b.room));
}

interface Totals {
  readonly productFiles: number;
  readonly productLines: number;
  readonly testFiles: number;
  readonly testLines: number;
  readonly longestFile: string;
  readonly longestFunction: string;
  readonly fullestRoom: string;
}

export function totals(tree: Tree): Totals {
  const sum = (sources: readonly Source[]) => sources.reduce((lines, source) => lines + source.lines, 0);
  const product = of(tree, "product");
  const test = of(tree, "test");
  const longest = product.reduce((most, one) => (one.lines > most.lines ? one : most));
  const functions = product.flatMap(({ path, functions }) => functions.map((one) => ({ ...one, path })));
  const largest = functions.reduce((most, one) => (one.lines > most.lines ? one : most));
  const [fullest] = rooms(tree);
  return {
    productFiles: product.length,
    productLines: sum(product),
    testFiles: test.length,
    testLines: sum(test),
    longestFile: `${longest.lines} (${longest.path})`,
    longestFunction: `${largest.lines} (${largest.path}, ${largest.name})`,
    fullestRoom: `${fullest?.files ?? 0} (${fullest?.room ?? ""})`,
  };
}
