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
  if (problem !== undefined) throw new ConvertError(`${given.name} ${problem}`);
  if (!isMembers(value)) throw new ConvertError(`${given.name}: is not an object`);
  const known = ["orig_total", "std_total", "seller_name", "detail", "orig_invoice_time", "std_invoice_time"];
  if (!known.some((name) => Object.hasOwn(value, name)))
    throw new ConvertError(`${given.name}: has none of ReceiptBench's ${known.join(", ")}`);
  const contents = new Map(Object.entries(value).map(([name, each]) => [name, contentOf(each)]));
  const { fields, left } = placed(joined(contents), places, options);
  const detail = contents.get("detail");
  if (Array.isArray(detail)) fields.items = detail.filter(isMembers).map(rowOf);
  const unknown = Array.isArray(detail) ? detail.filter(isMembers).flatMap(unplacedCells) : [];
  return [{ file: pictureOf(given, options), fields, left: [...left, ...unknown] }];
}

const contentOf = (value: unknown): unknown =>
  isMembers(value) && Object.hasOwn(value, "content") ? (value.content ?? null) : value;

/**
 * The printed and the normalized value are both accepted. Their evaluator treats the number 0 as no value, as it does
 * the text "".
 */
function joined(contents: ReadonlyMap<string, unknown>): Map<string, unknown> {
  const rest = new Map(contents);
  const take = (name: string) => {
    const value = rest.get(name);
    rest.delete(name);
    return value === 0 ? null : Array.isArray(value) && value.length === 0 ? null : value;
  };
  const put = (name: string, values: readonly unknown[]) => {
    const given = values.filter((value) => value !== undefined);
    const right = given.flat().filter((value) => value !== null && value !== "");
    if (given.length > 0)
      rest.set(name, right.length === 0 ? null : right.length === 1 ? right[0] : { any: right });
  };
  put("total", [take("orig_total"), take("std_total")]);
  put("currency", [take("orig_curr"), take("std_curr")]);
  const [printed, meant] = [take("orig_invoice_time"), take("std_invoice_time")];
  const [day, time] = typeof meant === "string" ? meant.split(/[T ]/) : [meant];
  // The printed date may include the time; then only the normalized date can be compared with a date.
  put("date", [day, typeof printed === "string" && /\d:\d/.test(printed) ? undefined : printed]);
  if (time !== undefined) put("time", [time]);
  rest.delete("detail");
  return rest;
}

function rowOf(row: Members): Members {
  return Object.fromEntries(
    Object.entries(cells).flatMap(([to, names]) => {
      const name = names.find((each) => Object.hasOwn(row, each));
      return name === undefined ? [] : [[to, contentOf(row[name])]];
    }),
  );
}

const unplacedCells = (row: Members): string[] =>
  Object.keys(row)
    .filter((name) => !Object.values(cells).flat().includes(name))
    .map((name) => `detail.${name}`);
