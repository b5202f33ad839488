import { execFile } from "node:child_process";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import * as Donut from "#core/evaluation/metrics/donut";

const run = promisify(execFile);

/**
 * The published evaluator from its package. Imports that it needs only for training are replaced; zss and nltk's edit
 * distance, which compute, are real.
 */
const judge = `
import importlib.util, json, os, sys, sysconfig, time, types
class Anything(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})
for name in ["torch", "torch.utils", "torch.utils.data", "datasets", "transformers", "transformers.modeling_utils"]:
    sys.modules[name] = Anything(name)
path = os.path.join(sysconfig.get_paths()["purelib"], "donut", "util.py")
spec = importlib.util.spec_from_file_location("util", path)
util = importlib.util.module_from_spec(spec)
spec.loader.exec_module(util)
evaluator = util.JSONParseEvaluator()
out = []
for pred, answer in json.load(open(sys.argv[1])):
    begun = time.process_time()
    try:
        acc = evaluator.cal_acc(pred, answer)
    except ZeroDivisionError:
        acc = None
    took = time.process_time() - begun
    try:
        f1 = evaluator.cal_f1([pred], [answer])
    except ZeroDivisionError:
        f1 = None
    out.append([acc, f1, took])
print(json.dumps(out))`;

/** A Python with the evaluator; undefined without Python or a registry. */
async function python(dir: string): Promise<string | undefined> {
  try {
    await run("python3", ["-m", "venv", dir]);
    const pip = (...args: string[]) => run(join(dir, "bin", "pip"), ["install", "--quiet", ...args]);
    await pip("zss==1.2.0", "nltk");
    await pip("--no-deps", "donut-python==1.0.9");
    return join(dir, "bin", "python");
  } catch {
    return undefined;
  }
}

type Pair = [prediction: unknown, truth: unknown];
type Judged = [accuracy: number | null, f1: number | null, seconds: number];

const text = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.string({ unit: "grapheme", maxLength: 5 }),
  fc.constantFrom("12.50", "12.5", "𝟏𝟐", " x ", "\x1f", "\u00a0a", "<leaf>", "None", "0"),
);
/** Numbers that both languages print alike. */
const scalar = fc.oneof(
  text,
  fc.integer({ min: -9999, max: 9999 }),
  fc.constantFrom(null, true, false, 0, 0.5),
);
const { document } = fc.letrec<{ document: Record<string, unknown>; value: unknown }>((tie) => ({
  document: fc.dictionary(
    fc.constantFrom("nm", "price", "menu", "a", "bb", "日", "😀", "total"),
    tie("value"),
    {
      ...{ maxKeys: 4, noNullPrototype: true },
    },
  ),
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    scalar,
    tie("document"),
    fc.array(tie("document"), { maxLength: 3 }),
    fc.array(fc.oneof(scalar, tie("document"), fc.array(scalar, { maxLength: 2 })), { maxLength: 3 }),
  ),
}));

/** A receipt of 30 rows and a model's answer: texts and amounts slightly wrong, a row missing, one invented. */
function receipts(n: number): Pair[] {
  return Array.from({ length: n }, (_, d) => {
    const rows = Array.from({ length: 30 }, (_, i) => ({
      ...{ nm: `ITEM ${(i * 7919 + d * 31) % 1000} OF SHELF ${i % 9}`, cnt: String(1 + (i % 4)) },
      ...{ unitprice: ((i * 137 + d) % 900).toFixed(2), price: ((i * 457 + d) % 2500).toFixed(2) },
    }));
    const read = rows.map((row, i) =>
      i % 10 === d % 10 ? { ...row, nm: row.nm.replace("ITEM", "1TEM") } : row,
    );
    read.splice(d % 30, 1);
    read.push({ nm: "NEW", cnt: "1", unitprice: "1.00", price: "1.00" });
    return [
      { menu: read, total: { price: "12.50" } },
      { menu: rows, total: { price: "12.80" } },
    ];
  });
}

test("the published evaluator of Donut says the same of over 500 random pairs, and takes 20 times as long", async () => {
  const dir = await fs.mkdtemp(join(tmpdir(), "ocrlty-evaluators-"));
  try {
    const program = await python(join(dir, "venv"));
    if (program === undefined) {
      console.log("there is no Python here, or it cannot install donut-python: not compared");
      return;
    }
    const judged = async (pairs: readonly Pair[]): Promise<Judged[]> => {
      await fs.writeFile(join(dir, "pairs.json"), JSON.stringify(pairs));
      const { stdout } = await run(program, ["-c", judge, join(dir, "pairs.json")], { maxBuffer: 2 ** 26 });
      return JSON.parse(stdout) as Judged[];
    };
    // Besides unrelated pairs, pairs in which one is the other with a changed member, so that they are similar.
    const strangers = fc.sample(fc.tuple(document, document), { numRuns: 400, seed: 16 });
    const relatives = fc.sample(fc.tuple(document, document), { numRuns: 400, seed: 17 });
    const pairs = [...strangers, ...relatives.map(([a, b]): Pair => [{ ...a, ...b }, a])];
    const said = await judged(pairs);
    let compared = 0;
    for (const [i, [accuracy, f1]] of said.entries()) {
      const [prediction, truth] = pairs[i] ?? [];
      const what = JSON.stringify(pairs[i]);
      // A division by zero, because the truth is empty.
      if (accuracy !== null) {
        expect(Math.abs((Donut.accuracy(prediction, truth) ?? 9) - accuracy), what).toBeLessThan(1e-9);
        compared += 1;
      }
      const own = Donut.f1(Donut.counts(prediction, truth));
      if (f1 === null) expect(own, what).toBeNull();
      else expect(Math.abs((own ?? Number.NaN) - f1), what).toBeLessThan(1e-9);
    }
    expect(said).toHaveLength(800);
    expect(compared).toBeGreaterThanOrEqual(500);

    const long = receipts(30);
    const theirs = (await judged(long)).map(([accuracy, , seconds]) => ({ accuracy, seconds }));
    for (const [prediction, truth] of long) Donut.accuracy(prediction, truth);
    const begun = process.cpuUsage();
    const ours = long.map(([prediction, truth]) => Donut.accuracy(prediction, truth));
    const { user, system } = process.cpuUsage(begun);
    const ownMs = (user + system) / 1000 / long.length;
    const theirMs = (theirs.reduce((sum, { seconds }) => sum + seconds, 0) * 1000) / long.length;
    for (const [i, { accuracy }] of theirs.entries()) expect(ours[i]).toBeCloseTo(accuracy ?? Number.NaN, 9);
    console.log(
      `${compared} accuracies and ${said.length} F1 equal to 1e-9; CPU a pair of 30 rows: ${ownMs.toFixed(1)} ms here, ` +
        `${theirMs.toFixed(0)} ms there, ${(theirMs / ownMs).toFixed(0)} times`,
    );
    expect(theirMs / ownMs).toBeGreaterThan(20);
  } finally {
    await fs.rm(dir, { recursive: true, force: true });
  }
});
