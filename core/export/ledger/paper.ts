import * as Decimal from "#core/canonical/money/decimal";
import type { Field } from "#core/canonical/normalize";
import type { Check, NormalizedValue } from "#core/canonical/schema";
import { invalidRequest } from "#core/error";
import * as Table from "#core/export/table/table";
import type { Item } from "#core/run/schema";
import * as Mapping from "./mapping.ts";

/*
 * A paper as a ledger needs it: vendor, number, date, and its total in lines of one tax rate each. Values that are not
 * printed stay absent, and a paper that does not add up is left out.
 *
 * rolesOf(…)  which field of a task has which role
 * read(…)     a paper, or the reason why it is left out
 */

/** Machine-readable reasons why a paper is left out; docs/ledgers.md explains each and what to do. */
export const reasons = [
  ...["not_read", "incomplete", "breaks_schema", "checks_failed", "unchecked", "ambiguous"],
  ...["no_total", "nothing_to_book", "no_currency", "other_currency", "no_date", "outside_period"],
  ...["no_vendor", "no_number", "no_due_date", "no_account", "duplicate"],
  ...["tax_not_split", "no_tax_code", "tax_withheld", "total_after_payment", "tip", "rounding"],
  ...["credit_note", "too_many_decimals", "amount_too_large", "file_full"],
] as const;
type Reason = (typeof reasons)[number];

/** A part of the total with one tax code and one account. */
export interface Line {
  what: "expense" | "tip" | "rounding";
  /** Including tax. */
  gross: Decimal.Decimal;
  /** Undefined if the ledger books without tax. */
  tax?: Decimal.Decimal;
  /** The mapping's entry for its rate. */
  entry?: Mapping.Tax;
}

export interface Paper {
  total: Decimal.Decimal;
  /** The largest number of decimals among its printed amounts. */
  decimals: number;
  date: string;
  due: string | undefined;
  number: string | undefined;
  vendor: string | undefined;
  lines: Line[];
}

export class LeftOut {
  readonly reason: Reason;
  readonly message: string;
  constructor(reason: Reason, message: string) {
    this.reason = reason;
    this.message = message;
  }
}

/** The tasks' names for each role; the first that a task has is used. */
const candidates = {
  total: ["total", "totals.total"],
  date: ["date", "invoice_date"],
  due: ["due_date"],
  number: ["invoice_number", "receipt_number"],
  vendor: ["merchant.name", "supplier.name", "merchant", "supplier"],
  tax: ["tax", "totals.tax"],
  tip: ["tip", "totals.tip"],
  rounding: ["rounding", "totals.rounding"],
  rate: ["taxes[].rate"],
  base: ["taxes[].base"],
  amount: ["taxes[].amount"],
} as const;
type Role = keyof typeof candidates;
type Roles = Partial<Record<Role, string>>;

/** The field of each role. @throws AppError `invalid_request` if the task has no field for a required role. */
export function rolesOf(
  fields: readonly Field[],
  { format, taskId, needs }: { format: string; taskId: string; needs: readonly Role[] },
): Roles {
  const has = new Set(fields.map(({ path }) => path));
  const roles = Object.fromEntries(
    Object.entries(candidates).flatMap(([role, paths]) => {
      const found = paths.find((path) => has.has(path));
      return found === undefined ? [] : [[role, found]];
    }),
  ) as Roles;
  const missing = needs.filter((role) => roles[role] === undefined);
  if (missing.length > 0) {
    const words = missing.map((role) => (role === "number" ? "a number" : `a ${role}`)).join(" and ");
    const message = `${format} needs ${words}, which the task ${taskId} does not read: receipt_v1 and invoice_v1 do`;
    throw invalidRequest([{ path: "format", message }]);
  }
  return roles;
}

const totalRule = "total_is_sum_of_parts";

/** Throws a `LeftOut` with the reason if the paper cannot be booked. */
export function read(item: Item, roles: Roles, mapping: Mapping.Common): Paper {
  const { normalized, checks } = standing(item);
  const at = (path: string | undefined): NormalizedValue | undefined =>
    path !== undefined && Object.hasOwn(normalized, path) ? normalized[path] : undefined;
  const sure = (role: Role) => {
    const value = at(roles[role]);
    if (value?.ambiguous) throw new LeftOut("ambiguous", `${roles[role]} can be read in more than one way`);
    return value;
  };
  const printed = (role: Role) => textAt(item.result, roles[role]);
  const total = sure("total");
  if (total === undefined) throw new LeftOut("no_total", "no total was read");
  checkCurrency(total, mapping);
  const amount = Decimal.of(total.value);
  if (Decimal.sign(amount) === 0) throw new LeftOut("nothing_to_book", "the total is zero");
  const date = sure("date");
  if (date === undefined) throw new LeftOut("no_date", "no date was read");
  const said = (word: string) => checks.some(({ variant }) => variant?.includes(word));
  if (said("tax_withheld")) throw new LeftOut("tax_withheld", "a part of the tax is withheld");
  if (said("after_payment"))
    throw new LeftOut("total_after_payment", "the total is what is left after a payment");
  const parts = (["tip", "rounding"] as const).flatMap((role) => {
    const value = sure(role);
    if (value === undefined || Decimal.sign(Decimal.of(value.value)) === 0) return [];
    return [partOf(role, value, { roles, checks, mapping })];
  });
  const rest = Decimal.minus(amount, Decimal.sum(parts.map(({ gross }) => gross)));
  const used = [total, at(roles.tip), at(roles.rounding)];
  const rows = mapping.taxes === undefined ? [] : taxRows(item, roles, at);
  const decimals = decimalsOf([...used, at(roles.tax), ...rows.flatMap(({ base, tax }) => [base, tax])]);
  const taxed =
    mapping.taxes === undefined
      ? [{ what: "expense" as const, gross: rest }]
      : split(rest, { rows, tax: sure("tax") }, mapping as Taxed, decimals);
  return {
    ...{ total: amount, decimals, date: date.value, due: sure("due")?.value },
    ...{ number: printed("number"), vendor: printed("vendor"), lines: [...taxed, ...parts] },
  };
}

/** The item's values, if the result can be relied on. */
function standing(item: Item): { normalized: Record<string, NormalizedValue>; checks: readonly Check[] } {
  if (item.complete === false) throw new LeftOut("incomplete", "rows of the paper are missing");
  if (item.status !== "succeeded" || item.result === null)
    throw new LeftOut("not_read", item.error?.message ?? `the item is ${item.status}`);
  if (item.schema_ok === false) throw new LeftOut("breaks_schema", "the result breaks its schema");
  if (item.normalized === null || item.checks === null)
    throw new LeftOut("unchecked", "what was read was not checked");
  const failed = item.checks.filter(({ ok }) => !ok).map(({ id }) => id);
  if (failed.length > 0)
    throw new LeftOut("checks_failed", `it does not add up: ${[...new Set(failed)].join(", ")}`);
  return { normalized: item.normalized, checks: item.checks };
}

function checkCurrency({ currency }: NormalizedValue, mapping: Mapping.Common): void {
  if (currency === mapping.currency) return;
  if (currency)
    throw new LeftOut("other_currency", `it is in ${currency}, and the ledger in ${mapping.currency}`);
  if (!mapping.assume_currency) throw new LeftOut("no_currency", "its currency is not known");
}

/** A tip or a rounding that is part of the total. */
function partOf(
  role: "tip" | "rounding",
  value: NormalizedValue,
  { roles, checks, mapping }: { roles: Roles; checks: readonly Check[]; mapping: Mapping.Common },
): Line {
  const sum = checks.find(({ id }) => id === totalRule);
  const isInside = sum?.fields.includes(roles[role] ?? "") && !sum.variant?.includes("tip_apart");
  if (!isInside) throw new LeftOut(role, `it has a ${role}, and nothing says that the total contains it`);
  const to = role === "tip" ? mapping.tips : mapping.rounding;
  if (to === undefined)
    throw new LeftOut(role, `it has a ${role}, and the mapping has no \`${role === "tip" ? "tips" : role}\``);
  const gross = Decimal.of(value.value);
  return { what: role, gross, tax: Decimal.zero, entry: { rate: Mapping.noTax, ...to } };
}

interface Row {
  rate: NormalizedValue | undefined;
  base: NormalizedValue | undefined;
  tax: NormalizedValue | undefined;
}

function taxRows(item: Item, roles: Roles, at: (path: string) => NormalizedValue | undefined): Row[] {
  const list = item.result?.taxes;
  if (roles.amount === undefined || !Array.isArray(list)) return [];
  const value = (path: string | undefined, i: number) =>
    path === undefined ? undefined : at(path.replace("[]", `[${i}]`));
  return list.flatMap((_, i) => {
    const row = { rate: value(roles.rate, i), base: value(roles.base, i), tax: value(roles.amount, i) };
    if (Object.values(row).some((one) => one?.ambiguous))
      throw new LeftOut("ambiguous", `taxes[${i}] can be read in more than one way`);
    return row.rate === undefined && row.tax === undefined ? [] : [row];
  });
}

const decimalsOf = (values: readonly (NormalizedValue | undefined)[]) =>
  Math.max(
    0,
    ...values
      .map((value) => value && Math.max(value.decimals ?? 0, Decimal.of(value.value).places))
      .map((n) => n ?? 0),
  );

type Taxed = Mapping.Common & { taxes: readonly Mapping.Tax[] };
const notSplit = (why: string) => new LeftOut("tax_not_split", why);

/** Splits the total, without tip and rounding, into lines of one rate each. */
function split(
  rest: Decimal.Decimal,
  { rows, tax }: { rows: readonly Row[]; tax: NormalizedValue | undefined },
  mapping: Taxed,
  decimals: number,
): Line[] {
  if (rows.length === 0) return [ofSum(rest, tax, mapping, decimals)];
  const byRate = new Map<string, { gross: Decimal.Decimal; tax: Decimal.Decimal }>();
  for (const row of rows) {
    if (row.rate === undefined) throw notSplit("a tax is printed without its rate");
    if (row.tax === undefined) throw notSplit(`the tax of ${row.rate.value} % was not read`);
    const amount = Decimal.of(row.tax.value);
    if (row.base === undefined && rows.length > 1)
      throw notSplit(`the amount on which the tax of ${row.rate.value} % is charged was not read`);
    const base = row.base === undefined ? Decimal.minus(rest, amount) : Decimal.of(row.base.value);
    checkRate(base, amount, row.rate.value, decimals);
    const known = byRate.get(row.rate.value) ?? { gross: Decimal.zero, tax: Decimal.zero };
    byRate.set(row.rate.value, {
      gross: Decimal.plus(known.gross, Decimal.plus(base, amount)),
      tax: Decimal.plus(known.tax, amount),
    });
  }
  const sum = Decimal.sum([...byRate.values()].map(({ gross }) => gross));
  if (Decimal.compare(sum, rest) !== 0)
    throw notSplit(`its rates account for ${Decimal.format(sum)} of ${Decimal.format(rest)}`);
  return [...byRate].map(([rate, { gross, tax: ofRate }]) => ({
    ...{ what: "expense" as const, gross, tax: ofRate },
    entry: entryOf(rate, mapping),
  }));
}

/** Rounding per line changes a sum by a few of the smallest units; a larger difference means another base. */
const unitsOff = 5n;

function checkRate(base: Decimal.Decimal, tax: Decimal.Decimal, rate: string, decimals: number): void {
  const due = Decimal.percent(base, Decimal.of(rate));
  const off = Decimal.abs(Decimal.minus(due, tax));
  if (Decimal.compare(off, { digits: unitsOff, places: decimals }) > 0)
    throw notSplit(`${rate} % of ${Decimal.format(base)} is not ${Decimal.format(tax)}`);
}

/** A paper that prints only the sum of its taxes, or no tax. */
function ofSum(
  rest: Decimal.Decimal,
  tax: NormalizedValue | undefined,
  mapping: Taxed,
  decimals: number,
): Line {
  const amount = tax === undefined ? Decimal.zero : Decimal.of(tax.value);
  const line = { what: "expense" as const, gross: rest, tax: amount };
  if (Decimal.sign(amount) === 0) return { ...line, entry: entryOf(Mapping.noTax, mapping) };
  if (!mapping.rate_from_amounts) throw notSplit("it prints its tax without a rate");
  const fitting = mapping.taxes.filter(({ rate }) => {
    if (rate === Mapping.noTax) return false;
    const percent = Decimal.of(rate);
    const whole = Decimal.plus(Decimal.of("100"), percent);
    const due = Decimal.divide(Decimal.times(rest, percent), whole, decimals);
    return Decimal.compare(due, amount) === 0;
  });
  const [entry] = fitting;
  if (entry === undefined || fitting.length > 1)
    throw notSplit(
      `${fitting.length === 0 ? "none" : "more than one"} of the rates of the mapping gives its tax`,
    );
  return { ...line, entry };
}

function entryOf(rate: string, { taxes }: Taxed): Mapping.Tax {
  const isSame = (name: string) =>
    name === rate ||
    (name !== Mapping.noTax &&
      rate !== Mapping.noTax &&
      Decimal.compare(Decimal.of(name), Decimal.of(rate)) === 0);
  const found = taxes.find((entry) => isSame(entry.rate));
  if (found !== undefined) return found;
  const what = rate === Mapping.noTax ? "papers without tax (rate `none`)" : `${rate} %`;
  throw new LeftOut("no_tax_code", `the mapping has no tax code for ${what}`);
}

function textAt(result: Item["result"], path: string | undefined): string | undefined {
  const value = path === undefined ? undefined : Table.valueAt(result, path);
  return typeof value === "string" && value.trim() !== "" ? value.trim() : undefined;
}
