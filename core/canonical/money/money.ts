import * as Currency from "./currency.ts";
import type { Convention } from "./number.ts";
import { conventionOf as conventionOfNumbers, evaluate } from "./number.ts";
import * as Printed from "./printed.ts";

interface Money {
  /** Canonical decimal: "1591600", "24.23", "-3.5". */
  value: string;
  /** ISO 4217, only if the print determines it. */
  currency: string | null;
  /** True if the number has another possible reading and nothing decided between them. */
  ambiguous: boolean;
}

interface MoneyContext {
  /** The document's currency. It decides what a shared mark such as `$` means and how many decimals to expect. */
  currency?: string | null | undefined;
  decimals?: number | undefined;
  convention?: Convention | undefined;
}

export type { Printed } from "./printed.ts";
export { prepare } from "./printed.ts";

/** The meaning of Arabic separators, folded. */
const arabic: Convention = { decimal: ".", thousands: "," };

/**
 * The canonical form of a printed amount: `RM 5.00`, `Rp16.500`, `24,23 EUR A`, `(3.50)`, `3.50-`, `1'234.50`, `Rp
 * 50.000,-`, `Rs. 1,250/-`, `*118,80`, `ر.س ٤٥٫٠٠`. Null if the text is not a single amount. An unknown mark leaves the
 * currency open, but not the amount (the rule is in printed.ts). `1.000` alone is read as thousands and marked
 * ambiguous; `conventionOf` over the document settles it. Never throws; returns null for texts over 64 characters.
 */
export function parse(printed: string, context: MoneyContext = {}): Money | null {
  const prepared = Printed.prepare(printed);
  return prepared && resolve(prepared, context);
}

/** The same for an amount that was already parsed. */
function resolve(prepared: Printed.Printed, context: MoneyContext = {}): Money | null {
  const currency = prepared.mark === null ? null : currencyOf(prepared, context.currency);
  const number = numberOf(prepared, { ...context, currency: currency ?? context.currency });
  return number && { value: number.value, currency, ambiguous: number.ambiguous };
}

function currencyOf({ mark, word }: Printed.Printed, context: string | null | undefined): string | null {
  if (mark === null) return null;
  const currency = Currency.resolve(mark, context);
  return word && currency !== context ? null : currency;
}

/**
 * The value alone, and the number of digits printed after its decimal separator; `context.currency` is the amount's
 * own. Null if its signs contradict each other.
 */
export function numberOf(
  prepared: Printed.Printed,
  context: MoneyContext,
): (Pick<Money, "value" | "ambiguous"> & { decimals: number }) | null {
  const { scanned, certain, dash } = prepared;
  const currency = context.currency ?? null;
  const decimals = context.decimals ?? decimalsOf(prepared, currency);
  const number = evaluate(scanned, {
    convention: certain ? arabic : context.convention,
    decimals,
    custom: currency !== null && Currency.decimals(currency) === 3 ? Currency.customOf(currency) : undefined,
  });
  let { negative } = prepared;
  let open = prepared.openPoint;
  if (prepared.zeroDash && (currency === null || Currency.writesZeroAsDash(currency))) {
    negative = currency === null;
    open = true;
  }
  if (dash && !(number.fractionDigits === 0 && closes(prepared, currency))) {
    if (negative) return null;
    negative = true;
    // The currency is unknown: the dash after a whole amount may not be a minus.
    open ||= number.fractionDigits === 0 && prepared.mark === null && currency === null;
  }
  const value = negative && number.value !== "0" ? `-${number.value}` : number.value;
  return { value, decimals: number.fractionDigits, ambiguous: number.ambiguous || open };
}

function closes({ mark }: Printed.Printed, currency: string | null): boolean {
  if (currency !== null) return Currency.closesWithDash(currency);
  return mark !== null && mark.codes.length > 0 && mark.codes.every(Currency.closesWithDash);
}

/** The number of decimals to expect; for a mark that several currencies share, if they agree. */
function decimalsOf(prepared: Printed.Printed, currency: string | null): number | undefined {
  const shared = prepared.mark?.codes ?? [];
  const codes = currency !== null ? [currency] : shared;
  if (codes.length === 0) return undefined;
  const all = codes.map(Currency.decimals);
  const most = Math.max(...all);
  if (most === 3 && all.some((decimals) => decimals !== 3)) return undefined;
  // Fuel and power are priced to a tenth of a cent.
  return most === 2 && prepared.perUnit ? 3 : most;
}

/** The meaning of points and commas in a document, from all its printed amounts (rules in number.ts). */
export function conventionOf(printed: readonly string[]): Convention {
  return conventionOfPrepared(
    printed.flatMap((value) => Printed.prepare(value) ?? []),
    null,
  );
}

/** The same for amounts that were already parsed; `currency` is the document's. */
export function conventionOfPrepared(
  amounts: readonly Printed.Printed[],
  currency: string | null,
): Convention {
  return conventionOfNumbers(
    amounts.flatMap((prepared) => {
      if (prepared.certain) return [];
      const own = prepared.mark?.codes.length === 1 ? (prepared.mark.codes[0] ?? null) : currency;
      const mills = own !== null && Currency.decimals(own) === 3 ? Currency.decimalsOfMills(own) : undefined;
      return [{ scanned: prepared.scanned, mills }];
    }),
  );
}

/** True if the text has a currency mark of its own, whether or not its currency is decided. */
export function isMarked(printed: string): boolean {
  return Printed.prepare(printed)?.mark != null;
}
