import * as Json from "#core/json";
import type * as GroundTruthRecord from "../record.ts";
import {
  ConvertError,
  type Converted,
  type Given,
  isMembers,
  type Members,
  type Options,
  pictureOf,
  placed,
  valuesIn,
} from "./converted.ts";

/*
 * CORD v2 (https://github.com/clovaai/cord, CC BY 4.0), in its own file format and in that of Donut's data sets
 * (https://github.com/clovaai/donut, "Data"): `metadata.jsonl`, one line per picture, with `file_name` and
 * `ground_truth`, a JSON text with `gt_parse`. A single row is an object there; several rows are a list.
 */

/** Labels of CORD, by group and name, with their target paths. */
const places = {
  "sub_total.subtotal_price": "totals.subtotal",
  "sub_total.discount_price": "totals.discount",
  "sub_total.service_price": "totals.service",
  "sub_total.tax_price": "totals.tax",
  "total.total_price": "totals.total",
  "total.cashprice": "payment.cash",
  "total.creditcardprice": "payment.card",
  "total.emoneyprice": "payment.card",
  "total.changeprice": "payment.change",
};
const cells = { nm: "name", cnt: "quantity", unitprice: "unit_price", price: "price" };

/**
 * Records of CORD: `metadata.jsonl`, one file per picture, or a list of records with `gt_parse`, `ground_truth` or
 * `fields`.
 * @throws ConvertError for any other file.
 */
export function read(given: Given, options: Options): Converted[] {
  return documentsOf(given).map(({ file, parse, beside }) => {
    const { menu, ...groups } = parse;
    const { found, left } = labelsOf(groups);
    const placedLabels = placed(found, places, options);
    left.push(...placedLabels.left, ...beside);
    const { fields } = placedLabels;
    const rows = listOf(menu);
    const items = rows.filter(isMembers);
    // A `menu` that is a text gives no label: it does not mean that the paper has no rows.
    if (items.length > 0 || (Array.isArray(menu) && rows.length === 0))
      fields.items = items.map((row) => rowOf(row, options));
    for (const row of rows) {
      if (!isMembers(row)) left.push(...valuesIn("menu", row));
      else
        for (const [name, value] of Object.entries(row))
          if (!Object.hasOwn(cells, name)) left.push(...valuesIn(`menu.${name}`, value));
    }
    return { file: file ?? pictureOf(given, options), fields, left };
  });
}

/** The labels of the groups, and the paths of values that belong to no group's label. */
function labelsOf(groups: Members): { found: [string, unknown][]; left: string[] } {
  const found: [string, unknown][] = [];
  const left: string[] = [];
  for (const [group, members] of Object.entries(groups))
    for (const each of listOf(members)) {
      if (!isMembers(each)) left.push(...valuesIn(group, each));
      else for (const [name, value] of Object.entries(each)) found.push([`${group}.${name}`, single(value)]);
    }
  return { found, left };
}

function rowOf(row: Members, { absent }: Options): Members {
  return Object.fromEntries(
    Object.entries(cells).flatMap(([from, to]) => {
      const has = row[from] !== undefined;
      return has || absent ? [[to, has ? single(row[from]) : null]] : [];
    }),
  );
}

/** CORD stores a label that spans several lines as a list. */
const single = (value: unknown): unknown =>
  Array.isArray(value) && value.every((each) => typeof each === "string") ? value.join(" ") : value;

const listOf = (value: unknown): unknown[] =>
  value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];

interface Document {
  file: string | undefined;
  /** Labels by group. */
  parse: Members;
  /** Paths of values beside the labels. */
  beside: string[];
}

function documentsOf({ name, text }: Given): Document[] {
  const whole = Json.read(text);
  if (whole.problem === undefined)
    return listOf(whole.value).map((value, i) => documentOf(value, name, `record ${i + 1}`));
  const lines = text.split("\n").map((line, i) => ({ ...Json.read(line), line, where: `line ${i + 1}` }));
  const filled = lines.filter(({ line }) => line.trim() !== "");
  // A text whose first line is no JSON is meant as one JSON value.
  if (filled[0]?.problem !== undefined || filled.length < 2) throw new ConvertError(name, whole.problem);
  const problems = filled.flatMap(({ where, problem }) =>
    problem === undefined ? [] : [`${where} ${problem.replace("line 1, ", "")}`],
  );
  if (problems.length > 0) throw new ConvertError(name, problems);
  return filled.map(({ value, where }) => documentOf(value, name, where));
}

/** Members of CORD's files that hold no labels: names, boxes of words, marks of the annotation. */
const annotation: ReadonlySet<string> = new Set([
  ...["file", "file_name", "ground_truth", "gt_parse", "fields", "meta", "valid_line"],
  ...["roi", "repeating_symbol", "dontcare"],
]);

function documentOf(value: unknown, name: string, where: string): Document {
  if (!isMembers(value)) throw new ConvertError(name, `${where} is not an object`);
  const named = [value.file_name, value.file].find((each) => typeof each === "string");
  const inner =
    typeof value.ground_truth === "string" ? Json.read(value.ground_truth).value : value.ground_truth;
  const parse = [isMembers(inner) ? inner.gt_parse : undefined, value.gt_parse, value.fields, value].find(
    isMembers,
  );
  if (parse === undefined || !["menu", "sub_total", "total"].some((group) => Object.hasOwn(parse, group)))
    throw new ConvertError(name, `${where} has none of CORD's menu, sub_total and total`);
  const { menu, sub_total, total, subtotal, ...others } = parse;
  const isFlat = parse === value;
  const groups = {
    ...{ menu, sub_total: sub_total ?? subtotal, total },
    ...(sub_total === undefined ? {} : { subtotal }),
    ...Object.fromEntries(Object.entries(others).filter(([name]) => !(isFlat && annotation.has(name)))),
  };
  const beside = isFlat ? [] : Object.entries(value).filter(([name]) => !annotation.has(name));
  return {
    file: named as string | undefined,
    parse: defined(groups),
    beside: beside.flatMap(([name, each]) => valuesIn(name, each)),
  };
}

const defined = (members: Members): Members =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));

/**
 * An answer or labels of receipt_v1 in CORD's names. Absent values are left out, as CORD does. `payment.card` becomes
 * `creditcardprice`.
 */
export function write(answer: Members): Members {
  const at = (path: string) =>
    path.split(".").reduce<unknown>((value, name) => (isMembers(value) ? value[name] : undefined), answer);
  const groups: Record<string, Members> = {};
  for (const [path, to] of Object.entries(places)) {
    const [group = "", name = ""] = path.split(".");
    const value = at(to);
    if (name === "emoneyprice" || !isPrinted(value)) continue;
    groups[group] = { ...groups[group], [name]: String(value) };
  }
  const menu = listOf(at("items"))
    .filter(isMembers)
    .map((row) =>
      Object.fromEntries(
        Object.entries(cells).flatMap(([to, from]) =>
          isPrinted(row[from]) ? [[to, String(row[from])]] : [],
        ),
      ),
    );
  return { ...(menu.length === 0 ? {} : { menu }), ...groups };
}

const isPrinted = (value: unknown) => value !== undefined && value !== null && typeof value !== "object";

const targets: ReadonlySet<string> = new Set([
  ...Object.values(places),
  ...Object.values(cells).map((cell) => `items[].${cell}`),
]);

/**
 * The path of each label that `write` leaves out: fields that CORD does not have, "?" (CORD has no mark for unreadable
 * values), and accepted values after the first. A label "absent" is not counted: CORD leaves out what is not printed.
 */
export function unwritten(labels: ReadonlyMap<string, GroundTruthRecord.Label>, at = ""): string[] {
  return [...labels].flatMap(([name, label]) => unwrittenAt(at === "" ? name : `${at}.${name}`, label));
}

function unwrittenAt(path: string, label: GroundTruthRecord.Label): string[] {
  if (label.kind === "group") return unwritten(label.members, path);
  if (label.kind === "rows") return label.rows.flatMap((row) => unwrittenAt(`${path}[]`, row));
  if (label.kind === "absent") return [];
  if (!targets.has(path)) return [path];
  if (label.kind === "unreadable") return [`${path} (unreadable)`];
  const further = label.accepted.length - 1 + (label.orAbsent ? 1 : 0);
  return Array.from({ length: further }, () => `${path} (further accepted values)`);
}

/** A line of Donut's `metadata.jsonl`. */
export const line = (file: string, answer: Members): string =>
  `${JSON.stringify({ file_name: file, ground_truth: JSON.stringify({ gt_parse: write(answer) }) })}\n`;
