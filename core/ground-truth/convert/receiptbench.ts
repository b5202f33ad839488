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
  valuesIn,
} from "./converted.ts";

/*
 * ReceiptBench (arXiv 2605.22413; https://github.com/wwwT0ri/ReceiptBench, receipt_evaluator.py of commit 45ee6b6): one
 * JSON file per picture; a field is its value or `{content, coord}`. Fields come as printed (`orig_…`) and normalized
 * (`std_…`).
 */

const places = {
  seller_name: "merchant.name",
  seller_address: "merchant.address",
  tax_number: "merchant.tax_id",
  invoice_number: "receipt_number",
  total: "totals.total",
  date: "date",
  time: "time",
  currency: "currency",
};

/** Possible names of a row's cells; the published evaluator does not define them. */
const cells: Readonly<Record<string, readonly string[]>> = {
  name: ["name", "item", "item_name", "description"],
  quantity: ["quantity", "qty", "count", "num"],
  unit_price: ["unit_price", "price_per_unit"],
  price: ["amount", "total", "total_price", "price"],
};

/** @throws ConvertError for any other file. */
export function read(given: Given, options: Options): Converted[] {
  const { value, problem } = Json.read(given.text);
  if (problem !== undefined) throw new ConvertError(given.name, problem);
  if (!isMembers(value)) throw new ConvertError(given.name, "is not an object");
  const known = ["orig_total", "std_total", "seller_name", "detail", "orig_invoice_time", "std_invoice_time"];
  if (!known.some((name) => Object.hasOwn(value, name)))
    throw new ConvertError(given.name, `has none of ReceiptBench's ${known.join(", ")}`);
  const contents = new Map(Object.entries(value).map(([name, each]) => [name, contentOf(each)]));
  const detail = contents.get("detail");
  const { found, left } = joined(contents);
  const placedLabels = placed(found, places, options);
  const { fields } = placedLabels;
  left.push(...placedLabels.left);
  if (Array.isArray(detail)) {
    const rows = detail.filter(isMembers).map(rowOf);
    if (rows.length > 0 || detail.length === 0) fields.items = rows.map(({ row }) => row);
    left.push(...rows.flatMap((row) => row.left));
  }
  const others = Array.isArray(detail) ? detail.filter((each) => !isMembers(each)) : [detail];
  left.push(...others.flatMap((each) => valuesIn("detail", each)));
  return [{ file: pictureOf(given, options), fields, left }];
}

const contentOf = (value: unknown): unknown =>
  isMembers(value) && Object.hasOwn(value, "content") ? (value.content ?? null) : value;

/**
 * The printed and the normalized value are both accepted. Their evaluator treats the number 0 as no value, as it does
 * the text "".
 */
function joined(contents: ReadonlyMap<string, unknown>): { found: Map<string, unknown>; left: string[] } {
  const found = new Map(contents);
  const left: string[] = [];
  const take = (name: string) => {
    const value = found.get(name);
    found.delete(name);
    return value === 0 ? null : Array.isArray(value) && value.length === 0 ? null : value;
  };
  const put = (name: string, values: readonly unknown[]) => {
    const given = values.filter((value) => value !== undefined);
    const right = given.flat().filter((value) => value !== null && value !== "");
    if (given.length === 0) return;
    left.push(...valuesIn(name, found.get(name)));
    found.set(name, right.length === 0 ? null : right.length === 1 ? right[0] : { any: right });
  };
  put("total", [take("orig_total"), take("std_total")]);
  put("currency", [take("orig_curr"), take("std_curr")]);
  const [printed, normalized] = [take("orig_invoice_time"), take("std_invoice_time")];
  const [day, ...time] = typeof normalized === "string" ? normalized.split(/[T ]/) : [normalized];
  // The printed date may include the time; then only the normalized date can be compared with a date.
  const hasTime = typeof printed === "string" && /\d:\d/.test(printed);
  if (hasTime) left.push("orig_invoice_time");
  put("date", [day, hasTime ? undefined : printed]);
  if (time.length > 0) put("time", [time.join(" ")]);
  found.delete("detail");
  return { found, left };
}

/** A row's cells, and the paths of its values that have no cell. */
function rowOf(row: Members): { row: Members; left: string[] } {
  const used = new Set<string>();
  const entries = Object.entries(cells).flatMap(([to, names]) => {
    const name = names.find((each) => Object.hasOwn(row, each));
    if (name === undefined) return [];
    used.add(name);
    return [[to, contentOf(row[name])]];
  });
  const others = Object.entries(row).filter(([name]) => !used.has(name));
  const left = others.flatMap(([name, value]) => valuesIn(`detail.${name}`, contentOf(value)));
  return { row: Object.fromEntries(entries), left };
}
