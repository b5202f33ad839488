/** The direction of imports: circles, upward imports, and tables that another noun names. */
import * as Graph from "./graph.ts";
import { nounOf, type Offender, type Source, type Tree } from "./tree.ts";

/**
 * The houses, lowest first: each may import itself and those before it. `packages` and `samples` hold code for other
 * programs; a file at the top, such as drizzle.config.ts, may import everything.
 */
const houses: readonly string[] = ["packages", "spec", "core", "functions", "local", "cli"];
/** Beside the houses: components of SST, which import the plain tables, and `core` for its plain constants. */
const beside = ["spec", "core", "packages"];
/** The top level: these may import everything, including each other and the helpers of tests. */
const top = ["scripts", "bench", "test"];

const houseOf = (path: string) => (path.includes("/") ? (path.split("/")[0] ?? "") : "");
const product = (tree: Tree) => tree.sources.filter(({ kind }) => kind === "product");

/** Circles of files, by imports of both values and types. */
export function fileCircles(tree: Tree): Offender[] {
  const arrows = tree.sources.flatMap(({ path, arrows }) =>
    arrows.map(({ target }): [string, string] => [path, target]),
  );
  return offenders(Graph.circles(Graph.graph(arrows)));
}

/** Circles of folders, without tests, which may import everything. */
export function roomCircles(tree: Tree): Offender[] {
  return offenders(Graph.circles(rooms(tree)));
}

const offenders = (circles: string[][]): Offender[] =>
  circles.map((members) => ({
    path: members[0] ?? "",
    what: `circle of ${members.length}: ${members.join(", ")}`,
  }));

function rooms(tree: Tree, among: (path: string) => boolean = () => true): Graph.Graph {
  const kinds = new Map(tree.sources.map((source) => [source.path, source.kind]));
  return Graph.graph(
    product(tree)
      .filter(({ path }) => among(path))
      .flatMap(({ room, arrows }) =>
        arrows
          .filter(({ target }) => kinds.get(target) === "product" && among(target))
          .map(({ target }): [string, string] => [room, target.split("/").slice(0, -1).join("/") || "."]),
      ),
  );
}

/** Imports of a higher house by a lower one, and imports of tests by the product. */
export function upwardHouses(tree: Tree): Offender[] {
  const kinds = new Map(tree.sources.map((source) => [source.path, source.kind]));
  return product(tree).flatMap((source) =>
    source.arrows
      .filter(({ target }) => !mayImport(source, target, kinds.get(target)))
      .map(({ target, line }) => ({ path: source.path, line, what: `imports ${target}` })),
  );
}

function mayImport({ path }: Source, target: string, kind: Source["kind"] | undefined): boolean {
  const from = houseOf(path);
  const to = houseOf(target);
  // package.json holds our version.
  if (target === "package.json") return true;
  if (kind === "test")
    return from === "bench"
      ? !target.endsWith(".test.ts")
      : from === "scripts" && target.startsWith("test/support/");
  // A file at the top configures a tool. What core imports from infra has its own measure.
  if (from === to || from === "" || top.includes(from) || (from === "core" && to === "infra")) return true;
  if (from === "infra") return beside.includes(to);
  if (to === "infra") return from !== "spec";
  return houses.includes(to) && houses.indexOf(to) < houses.indexOf(from);
}

/**
 * Inside core the order is not fixed: it is the one with the fewest upward imports. Those that remain are part of a
 * circle of rooms.
 */
export function upwardInCore(tree: Tree): Offender[] {
  const inCore = (path: string) => path.startsWith("core/");
  const pairs = Graph.upward(rooms(tree, inCore));
  return product(tree).flatMap(({ path, room, arrows }) =>
    arrows
      .filter(({ target }) =>
        pairs.some(([from, to]) => from === room && to === target.split("/").slice(0, -1).join("/")),
      )
      .map(({ target, line }) => ({ path, line, what: `imports ${target}` })),
  );
}

export function coreToInfra(tree: Tree): Offender[] {
  return product(tree)
    .filter(({ path }) => path.startsWith("core/"))
    .flatMap(({ path, arrows }) =>
      arrows
        .filter(({ target }) => target.startsWith("infra/"))
        .map(({ target, line }) => ({ path, line, what: `imports ${target}` })),
    );
}

// --- tables ----------------------------------------------------------------------------------------------------

/** The SQL keywords that come before a table's name. */
const before = "FROM|JOIN|INTO|UPDATE|TABLE";
/** Recognizes SQL text: in this repository its keywords are in capitals. */
const sqlText = /\b(?:SELECT|INSERT INTO|DELETE FROM|UPDATE|EXISTS|FROM|JOIN)\b/;

/**
 * A table belongs to its noun: other code uses what the noun exports and does not name the table in SQL. Benches and
 * scripts, which look at a database from outside, are exempt.
 */
export function foreignTables(tree: Tree): Offender[] {
  const owners = tables(tree);
  if (owners.size === 0) return [];
  const names = [...owners.keys()].join("|");
  const named = new RegExp(
    `\\b(?:${before})\\s+"?(${names})"?(?![\\w(])|(?<![\\w$.{'])"?(${names})"?\\.[a-z_]+`,
    "g",
  );
  return product(tree)
    .filter(({ path }) => !["bench", "scripts"].includes(houseOf(path)))
    .flatMap(({ path, literals }) =>
      literals
        .filter(({ text, isSql }) => isSql || sqlText.test(text))
        .flatMap(({ text, line }) =>
          [...text.matchAll(named)]
            .map((match) => match[1] ?? match[2] ?? "")
            .filter((name) => owners.get(name) !== nounOf(path))
            .map((name) => ({ path, line, what: `names the table ${name} of ${owners.get(name)}` })),
        ),
    );
}

/** Each table's name, with the noun that declares it in a `*.sql.ts`. */
function tables(tree: Tree): Map<string, string> {
  return new Map(
    tree.sources
      .filter(({ path }) => path.endsWith(".sql.ts"))
      .flatMap(({ path, text }) =>
        [...text.matchAll(/sqliteTable\(\s*"(\w+)"/g)].map(([, name = ""]): [string, string] => [
          name,
          nounOf(path),
        ]),
      ),
  );
}
