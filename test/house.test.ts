/**
 * Checks that each measure of the house finds a fault in a small tree, and does not report a similar tree without
 * one.
 */
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { bounds } from "#scripts/house/bounds";
import * as Graph from "#scripts/house/graph";
import * as Measures from "#scripts/house/measures";
import * as HouseTree from "#scripts/house/tree";

interface Case {
  readonly files: Readonly<Record<string, string>>;
  /** The exact findings of the measure for these files. */
  readonly found: readonly string[];
}

const lines = (count: number, text: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => text(i)).join("\n");
/** The name of a missing page. Written out, it would be a finding in this file. */
const plan = (name: string) => `${name}.md`;
/** A placeholder in a template. */
const hole = `\${it}`;
const body = (count: number) => lines(count, (i) => `  void ${i};`);
/** A text for two files, in which every line is different. */
const twice = (word: string, count: number) => lines(count, (i) => `export const ${word}${i} = ${i};`);

const cases: Record<Measures.MeasureName, Case> = {
  "long-files": {
    files: {
      "core/size/long.ts": `${lines(401, () => "// x")}\n`,
      "core/size/fits.ts": `${lines(400, () => "// x")}\n`,
      // Only the command that wrote it can shorten it.
      "core/size/written.ts": `// Written by \`npm run task\`.\n${lines(500, () => "// x")}\n`,
    },
    found: ["core/size/long.ts 401 lines"],
  },
  "long-test-files": {
    files: { "core/size/long.test.ts": `${lines(401, () => "// x")}\n` },
    found: ["core/size/long.test.ts 401 lines"],
  },
  "long-functions": {
    files: {
      "core/size/functions.ts": [
        `/** Its docstring does not count. */\nexport function long() {\n${body(59)}\n}`,
        `export const fits = () => {\n${body(58)}\n};`,
        `export const arrow = () => {\n${body(59)}\n};`,
        `class Outer {\n  method() {\n${body(59)}\n  }\n}`,
        `function outer() {\n${body(40)}\n  const inner = () => {\n${body(30)}\n  };\n  void inner;\n}`,
      ].join("\n"),
    },
    found: [
      "core/size/functions.ts:247 outer: 75 lines",
      "core/size/functions.ts:2 long: 61 lines",
      "core/size/functions.ts:123 arrow: 61 lines",
      "core/size/functions.ts:185 method: 61 lines",
    ],
  },
  "long-test-functions": {
    files: {
      "core/size/heading.test.ts": `describe("heading", () => {\n  test.each([])("guarantee", () => {\n${body(80)}\n  });\n});\n`,
    },
    found: ["core/size/heading.test.ts:2 callback of test.each([]): 82 lines"],
  },
  parameters: {
    files: {
      "core/size/parameters.ts":
        "export const five = (a, b, c, d, e) => [a, b, c, d, e];\nexport const four = (a, b, c, d) => [a, b, c, d];\n",
    },
    found: ["core/size/parameters.ts:1 five: 5 parameters"],
  },
  "file-circles": {
    files: {
      "core/circle/a.ts": 'import type { B } from "./b.ts";\nexport type A = B;\n',
      "core/circle/b.ts": 'import * as C from "#core/circle/c";\nexport type B = C.C;\n',
      "core/circle/c.ts": 'export type C = import("./a.ts").A;\n',
      "core/circle/d.ts": 'import type { A } from "./a.ts";\nexport type D = A;\n',
    },
    found: ["core/circle/a.ts circle of 3: core/circle/a.ts, core/circle/b.ts, core/circle/c.ts"],
  },
  "room-circles": {
    files: {
      "core/east/one.ts": 'import { b } from "#core/west/two";\nexport const a = b;\n',
      "core/west/two.ts": "export const b = 1;\n",
      "core/west/three.ts": 'import { a } from "../east/one.ts";\nexport const c = a;\n',
      // A test may import from a room above its own.
      "core/south/one.test.ts": 'import { a } from "../north/one.ts";\nvoid a;\n',
      "core/south/two.ts": "export const b = 1;\n",
      "core/north/one.ts": 'import { b } from "../south/two.ts";\nexport const a = b;\n',
    },
    found: ["core/east circle of 2: core/east, core/west"],
  },
  upward: {
    files: {
      "core/up/a.ts": 'export const late = () => import("#functions/up");\n',
      "functions/up.ts": 'import { down } from "#core/up/down";\nexport const up = down;\n',
      "core/up/down.ts": "export const down = 1;\n",
      "scripts/up.ts": 'import { paper } from "#core/up/paper-for-tests";\nvoid paper;\n',
      "core/up/paper-for-tests.ts": "export const paper = 1;\n",
      "scripts/helped.ts": 'import { paper } from "../test/support/paper.ts";\nvoid paper;\n',
      "bench/helped.ts": 'import { paper } from "#core/up/paper-for-tests";\nvoid paper;\n',
      "cli/helped.ts": 'import { paper } from "../test/support/paper.ts";\nvoid paper;\n',
      "test/support/paper.ts": "export const paper = 1;\n",
      "spec/up.ts": 'import { down } from "#core/up/down";\nvoid down;\n',
    },
    found: [
      "cli/helped.ts:1 imports test/support/paper.ts",
      "core/up/a.ts:1 imports functions/up.ts",
      "scripts/up.ts:1 imports core/up/paper-for-tests.ts",
      "spec/up.ts:1 imports core/up/down.ts",
    ],
  },
  "upward-core": {
    files: {
      "core/high/a.ts":
        'import { low } from "#core/low/a";\nimport { more } from "#core/low/b";\nvoid [low, more];\n',
      "core/high/b.ts": "export const high = 1;\n",
      "core/low/a.ts": "export const low = 1;\n",
      "core/low/b.ts": 'import { high } from "#core/high/b";\nexport const more = high;\n',
    },
    found: ["core/low/b.ts:1 imports core/high/b.ts"],
  },
  "core-infra": {
    files: {
      "core/plain/a.ts":
        'import type { Size } from "#infra/size";\nimport { one } from "#spec/one";\nexport type B = [Size, typeof one];\n',
      "infra/size.ts": "export type Size = number;\n",
      "spec/one.ts": "export const one = 1;\n",
    },
    found: ["core/plain/a.ts:1 imports infra/size.ts"],
  },
  tables: {
    files: {
      "core/paper/paper.sql.ts": 'export const paperTable = sqliteTable("paper", {});\n',
      "core/paper/list/list.ts": "export const own = sql`SELECT 1 FROM paper`;\n",
      "core/shelf/raw.ts": `export const a = sql\`SELECT 1 FROM paper WHERE papers.id = 1\`;\nexport const b = \`DELETE FROM shelf WHERE id IN (SELECT id FROM shelf JOIN ${hole} AS x ON paper.id = x.id)\`;\n`,
      "core/shelf/clean.ts": `import { paperTable } from "#core/paper/paper.sql";\nexport const a = sql\`SELECT 1 FROM ${hole}\`;\n// SELECT 1 FROM paper\nexport const b = "made of paper. FROM paper_shelf";\n`,
    },
    found: [
      "core/shelf/raw.ts:1 names the table paper of core/paper",
      "core/shelf/raw.ts:2 names the table paper of core/paper",
    ],
  },
  siblings: {
    files: {
      ...Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`local/crowd/f${i}.ts`, "\n"])),
      ...Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`local/room/f${i}.ts`, "\n"])),
      "local/room/f.test.ts": "\n",
    },
    found: ["local/crowd 21 files side by side"],
  },
  unread: {
    files: {
      "core/read/values.ts": [
        "export const byName = 1;\nexport const byStar = 2;\nexport const byNone = 3;",
        "export function inDynamic() {}\nexport const [first, second] = [1, 2];\nexport type Shape = 1;",
      ].join("\n"),
      "core/read/reader.ts":
        'import * as Values from "./values.ts";\nimport { byName, first } from "./values.ts";\nvoid [Values.byStar, byName, first, { Values: 1 }];\n',
      "core/read/late.ts": 'const { inDynamic } = await import("#core/read/values");\nvoid inDynamic;\n',
      "core/read/by-place.ts":
        "export const handler = 1;\nexport const named = 1;\nexport const other = 1;\n",
      "core/read/names-places.ts": 'void ["core/read/by-place.handler", "by-place.other"];\n',
      // Passed on as a whole, so each of its names may be used.
      "core/read/whole.ts": "export const any = 1;\n",
      "core/read/passes.ts": 'import * as Whole from "./whole.ts";\nconsole.log(Whole);\n',
    },
    found: [
      "core/read/by-place.ts:2 named",
      "core/read/by-place.ts:3 other",
      "core/read/values.ts:3 byNone",
      "core/read/values.ts:5 second",
    ],
  },
  "unread-types": {
    files: {
      "core/read/types.ts":
        "export interface Named {}\nexport interface Unnamed {}\nexport const value = 1;\n",
      "core/read/names.ts":
        'import type * as Types from "./types.ts";\nlet x: Types.Named | undefined;\nvoid x;\n',
    },
    found: ["core/read/types.ts:2 Unnamed"],
  },
  "unread-but-tests": {
    files: {
      "core/read/hidden.ts": "export const forTests = 1;\nexport const forAll = 1;\n",
      "core/read/hidden.test.ts":
        'import { forAll, forTests } from "./hidden.ts";\nvoid [forAll, forTests];\n',
      "core/read/shown.ts": 'import { forAll } from "./hidden.ts";\nvoid forAll;\n',
    },
    found: ["core/read/hidden.ts:1 forTests"],
  },
  references: {
    files: {
      "core/said/comments.ts": [
        "/**\n * See core/said/gone.ts, core/said/comments.ts and `docs/gone.md`.\n */",
        `// Beside comments.ts; in core/said, core/nowhere/ and ${plan("DESIGN")}; of https://example.org/core/gone.ts`,
        'export const text = "core/said/gone.ts // core/said/gone.ts";\nexport const rule = /[/]\\/ core\\/gone.ts/;',
        "// A pattern names no file: core/**/*.sql.ts",
        `export const plan = "more in ${plan("STYLE")}";`,
      ].join("\n"),
      "docs/said.md": "[a](said.md), `core/said/gone.ts`, `core/said/comments.ts`, your own `first.ts`\n",
    },
    found: [
      "core/said/comments.ts:2 core/said/gone.ts",
      "core/said/comments.ts:2 docs/gone.md",
      `core/said/comments.ts:4 ${plan("DESIGN")}`,
      "core/said/comments.ts:4 core/nowhere/",
      `core/said/comments.ts:8 ${plan("STYLE")}`,
      "docs/said.md:1 core/said/gone.ts",
    ],
  },
  duplicates: {
    files: {
      "core/twice/a.ts": `import "./b.ts";\n${twice("same", 14)}\n`,
      "core/twice/b.ts": `${twice("other", 3)}\n${twice("same", 14).replaceAll(" = ", "  =\t").replaceAll("\n", "\n\n")}\n`,
      "core/twice/c.ts": `${twice("few", 11)}\nexport const end = 1;\n`,
      "core/twice/d.ts": `${twice("few", 11)}\nexport const end = 2;\n`,
    },
    found: ["core/twice/b.ts:4 14 lines as in core/twice/a.ts:2"],
  },
  "test-duplicates": {
    files: { "test/twice-a.ts": twice("inTests", 12), "test/twice-b.ts": twice("inTests", 12) },
    found: ["test/twice-b.ts:1 12 lines as in test/twice-a.ts:1"],
  },
  aliases: {
    files: {
      "core/named/own-name.ts": "export const a = 1;\n",
      "core/named/aliases.ts": [
        'import * as OwnName from "./own-name.ts";\nimport * as NamedOwnName from "#core/named/own-name";',
        'import * as Names from "./own-name.ts";\nimport * as ownName from "./own-name.ts";\nimport * as z from "zod";',
        "void [OwnName.a, NamedOwnName.a, Names.a, ownName.a, z];",
      ].join("\n"),
    },
    found: [
      "core/named/aliases.ts:3 core/named/own-name.ts as Names",
      "core/named/aliases.ts:4 core/named/own-name.ts as ownName",
    ],
  },
  twins: {
    files: {
      "core/twin/pair.ts": "\n",
      "core/twin/pair/a.ts": "\n",
      "core/twin/pairs.ts": "\n",
      "core/twin/pair.test.ts": "\n",
    },
    found: [
      "core/twin/pair.test.ts stands beside a folder of the same name",
      "core/twin/pair.ts stands beside a folder of the same name",
    ],
  },
};

describe("each measure finds its fault, and no false one", () => {
  let tree: HouseTree.Tree;

  beforeAll(() => {
    const root = fs.mkdtempSync(join(tmpdir(), "ocrlty-house-"));
    try {
      const imports = Object.fromEntries(
        ["core", "functions", "infra", "spec"].map((house) => [`#${house}/*`, `./${house}/*.ts`]),
      );
      const files = Object.assign({}, ...Object.values(cases).map((one) => one.files)) as Record<
        string,
        string
      >;
      const all = { ...files, "package.json": JSON.stringify({ imports }) };
      for (const [path, text] of Object.entries(all)) {
        fs.mkdirSync(dirname(join(root, path)), { recursive: true });
        fs.writeFileSync(join(root, path), text);
      }
      tree = HouseTree.read(root, Object.keys(all).toSorted());
    } finally {
      fs.rmSync(root, { recursive: true, force: true });
    }
  });

  test.each(Measures.names)("%s", (name) => {
    const { files, found } = cases[name];
    const own = (path: string) =>
      path in files || Object.keys(files).some((file) => file.startsWith(`${path}/`));
    const places = Measures.measures[name].find(tree).filter(({ path }) => own(path));
    expect(places.map(Measures.text)).toEqual(found);
  });
});

const root = dirname(import.meta.dirname);

describe.skipIf(!HouseTree.isCheckout(root))(
  "the house stays within its bounds (npm run house -- --list NAME)",
  () => {
    let tree: HouseTree.Tree;
    beforeAll(() => {
      tree = HouseTree.read(root, HouseTree.tracked(root));
    });

    test.each(Measures.names)("%s", (name) => {
      const { about, find } = Measures.measures[name];
      const places = find(tree).map(Measures.text);
      const verdict = `${about}: at most ${bounds[name]}`;
      // If there are more than allowed, all are listed, because it is unknown which one is new.
      expect({ verdict, places: places.length > bounds[name] ? places : [] }).toEqual({
        verdict,
        places: [],
      });
    });
  },
);

test("circles are found whatever node a search begins with, and one arrow of each leads upward", () => {
  const arrows: [string, string][] = [
    ["a", "b"],
    ["b", "c"],
    ["c", "b"],
    ["c", "d"],
    ["d", "e"],
    ["e", "d"],
    ["e", "d"],
    ["f", "f"],
  ];
  for (const turned of [arrows, arrows.toReversed()]) {
    const graph = Graph.graph(turned);
    expect(Graph.circles(graph).toSorted()).toEqual([
      ["b", "c"],
      ["d", "e"],
    ]);
    const up = Graph.upward(graph);
    expect(up).toHaveLength(2);
    // The arrow between d and e with fewer imports.
    expect(up).toContainEqual(["d", "e"]);
  }
});
