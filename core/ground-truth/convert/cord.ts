import * as Json from "#core/json";
import {
  ConvertError,
  type Converted,
  type Given,
  isMembers,
  type Members,
  type Options,
  pictureOf,
  placed,
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
  return documentsOf(given).map(({ file, parse }) => {
    const { menu, ...groups } = parse;
    const found = new Map(
      Object.entries(groups).flatMap(([group, members]) =>
        listOf(members)
          .filter(isMembers)
          .flatMap((each) => Object.entries(each))
          .map(([name, value]) => [`${group}.${name}`, single(value)] as const),
      ),
    );
    const { fields, left } = placed(found, places, options);
    const rows = listOf(menu).filter(isMembers);
    if (menu !== undefined) fields.items = rows.map((row) => rowOf(row, options));
    const names = rows.flatMap((row) => Object.keys(row)).filter((name) => !Object.hasOwn(cells, name));
    const unplaced = [...left, ...names.map((name) => `menu.${name}`)];
    return { file: file ?? pictureOf(given, options), fields, left: unplaced };
  });
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
  parse: Members;
}

function documentsOf({ name, text }: Given): Document[] {
  const whole = Json.read(text);
  const values =
    whole.problem === undefined
      ? listOf(whole.value)
      : text
          .split("\n")
          .filter((line) => line.trim() !== "")
          .map((line) => {
            const { value, problem } = Json.read(line);
            if (problem !== undefined) throw new ConvertError(`${name} ${whole.problem ?? problem}`);
            return value;
          });
  return values.map((value, i) => documentOf(value, `${name}, record ${i + 1}`));
}

function documentOf(value: unknown, where: string): Document {
  if (!isMembers(value)) throw new ConvertError(`${where}: is not an object`);
  const named = [value.file_name, value.file].find((each) => typeof each === "string");
  const inner =
    typeof value.ground_truth === "string" ? Json.read(value.ground_truth).value : value.ground_truth;
  const parse = [isMembers(inner) ? inner.gt_parse : undefined, value.gt_parse, value.fields, value].find(
    isMembers,
  );
  if (parse === undefined || !["menu", "sub_total", "total"].some((group) => Object.hasOwn(parse, group)))
    throw new ConvertError(`${where}: has none of CORD's menu, sub_total and total`);
  const { menu, sub_total, total, void_menu, subtotal, ...others } = parse;
  const rest = parse === value ? {} : others;
  const groups = { menu, sub_total: sub_total ?? subtotal, total, void_menu, ...rest };
  return { file: named as string | undefined, parse: defined(groups) };
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
    if (name === "emoneyprice" || value === undefined || value === null) continue;
    groups[group] = { ...groups[group], [name]: String(value) };
  }
  const menu = listOf(at("items"))
    .filter(isMembers)
    .map((row) =>
      Object.fromEntries(
        Object.entries(cells).flatMap(([to, from]) =>
          row[from] === undefined || row[from] === null ? [] : [[to, String(row[from])]],
        ),
      ),
    );
  return { ...(menu.length === 0 ? {} : { menu }), ...groups };
}

/** A line of Donut's `metadata.jsonl`. */
export const line = (file: string, answer: Members): string =>
  `${JSON.stringify({ file_name: file, ground_truth: JSON.stringify({ gt_parse: write(answer) }) })}\n`;
