import type { Field } from "#core/canonical/normalize";
import type { Comparison } from "#core/evaluation/compare/compare";
import * as Layout from "#core/evaluation/compare/layout";
import * as Outcome from "#core/evaluation/compare/outcome";
import { Bytes, Reader } from "./bytes.ts";
import type * as Schema from "./schema.ts";
import * as Slices from "./slices.ts";
import * as Vector from "./vector.ts";

/*
 * An evaluation in progress, one document at a time: some hundred bytes per document, which the bootstrap needs, and
 * counters of slices. It can be saved as JSON between any two documents and resumed by another process.
 */

/** Names of a slice's counters, in this order. */
export const sliceCounts = [
  "documents",
  "documents_right",
  "exact_matched",
  "exact_predicted",
  "exact_expected",
  "exact_right",
  "exact_scored",
  "matched",
  "predicted",
  "expected",
  "right",
  "scored",
  "rows_expected",
  "rows_predicted",
  "rows_paired",
  "documents_judged",
] as const;

/** Maximum number of values per dimension; documents with other values are counted together under this name. */
const maxValues = 200;
const others = "(others)";
/** Maximum number of tag names, in order of appearance; other tags have no slice. */
const maxTags = 20;
const isTag = (dimension: string) => dimension.startsWith("tags.");

/** The most ambiguous labels that are named; all are counted. */
const namedLabels = 100;
const labelLength = 100;

export interface Accumulator {
  readonly layout: Layout.Layout;
  documents: number;
  readonly ambiguous: Schema.AmbiguousLabels;
  readonly vectors: Bytes;
  readonly slices: Map<string, Map<string, number[]>>;
}

/** Raised with every change of what is saved. */
const stateVersion = 3;

/** The saved state: plain JSON. */
interface State {
  /** Version of this format; a state of another version is ignored. */
  version: number;
  /** Paths of the fields, needed to read the vectors. */
  fields: string[];
  documents: number;
  ambiguous: Schema.AmbiguousLabels;
  /** Base64. */
  vectors: string;
  slices: Record<string, Record<string, number[]>>;
}

export function create(fields: readonly Field[]): Accumulator {
  const ambiguous = { count: 0, first: [] };
  return { layout: Layout.of(fields), documents: 0, ambiguous, vectors: new Bytes(), slices: new Map() };
}

/** Adds one document and returns its counters. */
export function add(into: Accumulator, comparison: Comparison, about: Slices.About = {}): Vector.Vector {
  const vector = Vector.of(comparison);
  Vector.write(into.layout, vector, into.vectors);
  into.documents += 1;
  for (const { path, expected, ambiguous } of comparison.verdicts) {
    if (!ambiguous) continue;
    into.ambiguous.count += 1;
    if (into.ambiguous.first.length < namedLabels)
      into.ambiguous.first.push({
        file: about.file ?? null,
        path,
        label: (expected ?? "").slice(0, labelLength),
      });
  }
  const counts = countsOf(vector);
  for (const [dimension, value] of Slices.of(comparison, about)) addSlice(into, dimension, value, counts);
  return vector;
}

/** True if a document has a scored label and all scored labels are right; a value labeled as unreadable is not scored. */
export function isRight({ fields }: Vector.Vector, mode: "exact" | "canonical"): boolean {
  const all = totals(fields, mode);
  return all.scored > 0 && all.right === all.scored;
}

function totals(fields: readonly Vector.Both[], mode: "exact" | "canonical") {
  const sum = Outcome.none();
  for (const field of fields) Outcome.add(sum, field[mode]);
  return {
    ...{ matched: sum.matched, predicted: Outcome.predicted(sum), expected: Outcome.expected(sum) },
    ...{ right: Outcome.right(sum), scored: Outcome.scored(sum) },
  };
}

function countsOf(vector: Vector.Vector): number[] {
  const [exact, canonical] = [totals(vector.fields, "exact"), totals(vector.fields, "canonical")];
  const of = ({ matched, predicted, expected, right, scored }: ReturnType<typeof totals>) => [
    ...[matched, predicted, expected, right, scored],
  ];
  const rows = [0, 0, 0];
  for (const { expected, predicted, paired } of vector.lists)
    for (const [i, count] of [expected, predicted, paired].entries()) rows[i] = (rows[i] ?? 0) + count;
  const judged = Number(canonical.scored > 0);
  return [1, Number(isRight(vector, "canonical")), ...of(exact), ...of(canonical), ...rows, judged];
}

function addSlice(into: Accumulator, dimension: string, value: string, counts: readonly number[]): void {
  let values = into.slices.get(dimension);
  if (values === undefined) {
    if (isTag(dimension) && [...into.slices.keys()].filter(isTag).length >= maxTags) return;
    values = new Map();
    into.slices.set(dimension, values);
  }
  const name = values.has(value) || values.size < maxValues ? value : others;
  const before = values.get(name);
  values.set(
    name,
    counts.map((count, i) => count + (before?.[i] ?? 0)),
  );
}

/** Adds all documents of another evaluation of the same fields. Throws a TypeError when the fields differ. */
export function merge(into: Accumulator, other: Accumulator): void {
  if (pathsOf(into.layout).join("\n") !== pathsOf(other.layout).join("\n"))
    throw new TypeError("evaluations of different fields cannot be added");
  into.vectors.append(other.vectors.written);
  into.documents += other.documents;
  into.ambiguous.count += other.ambiguous.count;
  into.ambiguous.first.push(...other.ambiguous.first.slice(0, namedLabels - into.ambiguous.first.length));
  for (const [dimension, values] of other.slices)
    for (const [value, counts] of values) addSlice(into, dimension, value, counts);
}

const pathsOf = ({ fields }: Layout.Layout) => fields.map(({ path }) => path);

/** The state to save. */
export function stateOf({ layout, documents, ambiguous, vectors, slices }: Accumulator): State {
  const plain = [...slices].map(([name, values]) => [name, Object.fromEntries(values)] as const);
  return {
    version: stateVersion,
    fields: pathsOf(layout),
    documents,
    ambiguous,
    vectors: Buffer.from(vectors.written).toString("base64"),
    slices: Object.fromEntries(plain),
  };
}

/** Resumes from a saved state; undefined if another version of the code saved it, with other fields or another form. */
export function restore(fields: readonly Field[], state: State): Accumulator | undefined {
  const into = create(fields);
  if (state.version !== stateVersion || state.fields.join("\n") !== pathsOf(into.layout).join("\n"))
    return undefined;
  into.vectors.append(Buffer.from(state.vectors, "base64"));
  into.documents = state.documents;
  Object.assign(into.ambiguous, state.ambiguous);
  for (const [name, values] of Object.entries(state.slices))
    into.slices.set(name, new Map(Object.entries(values)));
  return into;
}

/** Every document's vector, in the order in which they were added. */
export function* each({ layout, vectors }: Accumulator): Generator<Vector.Vector> {
  const reader = new Reader(vectors.written);
  while (!reader.done) yield Vector.read(layout, reader);
}
