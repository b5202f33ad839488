/** Exported names, and the other files that use them. */
import type { Offender, Tree } from "./tree.ts";

/** Names that are used by their path and not by an import. */
const readByPlace: readonly { readonly path: RegExp; readonly names: RegExp }[] = [
  // The route table and Lambda name a file; the stack and the OpenAPI document read its operations.
  { path: /^functions\//, names: /^(?:handler|operations)$/ },
  // drizzle-kit reads every table of the pattern in drizzle.config.ts.
  { path: /\.sql\.ts$/, names: /Table$/ },
  // Configuration files, loaded by their tools.
  { path: /^(?:sst|drizzle|vitest)\.config\.ts$/, names: /./ },
  // The public API of the packages.
  { path: /^packages\//, names: /./ },
];

/** A function is named by its file and export, as in Lambda: "functions/api/usage.handler". */
function handlersNamed(tree: Tree): ReadonlySet<string> {
  const literals = tree.sources.flatMap((source) => source.literals);
  return new Set(
    literals.flatMap(({ text }) => {
      const [, file, name] = /^([\w/-]+)\.(\w+)$/.exec(text) ?? [];
      return file === undefined ? [] : [`${file}.ts ${name}`];
    }),
  );
}

interface Unread extends Offender {
  readonly isType: boolean;
  readonly byTests: boolean;
}

/** Exports of the product that no other file of the product uses. */
function unread(tree: Tree): Unread[] {
  const readers = { product: new Map<string, Set<string>>(), test: new Map<string, Set<string>>() };
  const handlers = handlersNamed(tree);
  for (const { path, kind, arrows } of tree.sources) {
    for (const { target, names } of arrows) {
      if (target === path) continue;
      const reader = readers[kind === "test" ? "test" : "product"];
      const read = reader.get(target) ?? new Set<string>();
      for (const name of names === "all" ? ["*"] : names) read.add(name);
      reader.set(target, read);
    }
  }
  const isRead = (kind: "product" | "test", path: string, name: string) => {
    const names = readers[kind].get(path);
    return names !== undefined && (names.has("*") || names.has(name));
  };
  return tree.sources
    .filter(({ kind }) => kind === "product")
    .flatMap(({ path, exports }) =>
      exports
        .filter(({ text }) => !isRead("product", path, text))
        .filter(({ text }) => !handlers.has(`${path} ${text}`))
        .filter(({ text }) => !readByPlace.some((one) => one.path.test(path) && one.names.test(text)))
        .map(({ text, line, isType }) => ({
          path,
          line,
          what: text,
          isType,
          byTests: isRead("test", path, text),
        })),
    );
}

const places = (found: readonly Unread[]): Offender[] =>
  found.map(({ path, line = 1, what }) => ({ path, line, what }));

/** Values that no other file uses, including tests. */
export const unreadValues = (tree: Tree): Offender[] =>
  places(unread(tree).filter(({ byTests, isType }) => !byTests && !isType));

/** Types that no other file names, including tests. */
export const unreadTypes = (tree: Tree): Offender[] =>
  places(unread(tree).filter(({ byTests, isType }) => !byTests && isType));

/** Exports that only tests use. */
export const readByTests = (tree: Tree): Offender[] => places(unread(tree).filter(({ byTests }) => byTests));
