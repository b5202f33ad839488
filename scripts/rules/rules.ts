/** Versions of the rules: hashes of the code that decides what printed values mean, and when two are equal. */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { transform } from "esbuild";

interface Rules {
  /** The folder of the code, below the root. */
  readonly folder: string;
  readonly says: string;
}

/** Each of these folders has a `rules-version.ts` with its hash. */
const all: readonly Rules[] = [
  { folder: "core/canonical", says: "what printed values mean, and which sums must fit" },
  { folder: "core/evaluation/compare", says: "when an answer is the same as a label" },
];

/** The schema of the wire format decides how values are shown, not what they are. */
const besides = ["rules-version.ts", "schema.ts"];
const length = 12;

const filesOf = (root: string, folder: string): string[] =>
  fs
    .readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .map((name) => name.replaceAll("\\", "/"))
    .filter((name) => /\.ts$/.test(name) && !/(\.test|-for-tests)\.ts$/.test(name) && !besides.includes(name))
    .toSorted();

/**
 * The hash of a folder's code without comments, types and white space, and of the versions of the packages that it
 * uses: a reworded comment changes no version.
 */
async function hashOf(root: string, folder: string): Promise<string> {
  const { dependencies } = JSON.parse(fs.readFileSync(join(root, "package.json"), "utf8")) as {
    dependencies: Readonly<Record<string, string>>;
  };
  const hash = createHash("sha256");
  for (const name of filesOf(root, folder)) {
    const text = fs.readFileSync(join(root, folder, name), "utf8").replaceAll("\r\n", "\n");
    const { code } = await transform(text, {
      ...{ loader: "ts", minifyWhitespace: true, legalComments: "none" },
    });
    const packages = [...text.matchAll(/ from "([^#."][^"]*)"/g)].map(
      ([, used = ""]) => `${used}@${dependencies[used] ?? ""}`,
    );
    hash.update(JSON.stringify([name, code, packages]));
  }
  return hash.digest("hex").slice(0, length);
}

const fileOf = (root: string, folder: string) => join(root, folder, "rules-version.ts");

/** The text of a folder's `rules-version.ts`. */
async function textOf(root: string, { folder, says }: Rules): Promise<string> {
  return [
    "// Written by `npm run task -- rules`; a test fails where it is out of date.",
    "",
    `/** The version of the code of ${folder}: ${says}. A hash without an order. */`,
    `export const version = ${JSON.stringify(await hashOf(root, folder))};`,
    "",
  ].join("\n");
}

/** Writes the versions that are out of date. @returns their files, below the root. */
export async function write(root: string): Promise<string[]> {
  const written: string[] = [];
  for (const rules of all) {
    const file = fileOf(root, rules.folder);
    const text = await textOf(root, rules);
    if (fs.existsSync(file) && fs.readFileSync(file, "utf8").replaceAll("\r\n", "\n") === text) continue;
    fs.writeFileSync(file, text);
    written.push(`${rules.folder}/rules-version.ts`);
  }
  return written;
}
