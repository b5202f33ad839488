/**
 * Exact decimals for sums and products of printed amounts: an integer, and the number of its digits that are decimals.
 * Integers are of any size, so nothing overflows. Takes a tenth of the time of a general library that stores lists of
 * digits.
 */
export interface Decimal {
  digits: bigint;
  places: number;
}

export const zero: Decimal = { digits: 0n, places: 0 };

const powers: bigint[] = [1n];

function power(exponent: number): bigint {
  for (let next = powers.length; next <= exponent; next += 1) powers.push((powers[next - 1] ?? 1n) * 10n);
  return powers[exponent] ?? 1n;
}

/** Reads a canonical decimal: `-1591.5`. Anything else throws SyntaxError. */
export function of(canonical: string): Decimal {
  const point = canonical.indexOf(".");
  if (point < 0) return { digits: BigInt(canonical), places: 0 };
  return {
    digits: BigInt(canonical.slice(0, point) + canonical.slice(point + 1)),
    places: canonical.length - point - 1,
  };
}

/** The canonical form: no exponent, no trailing zeros, no minus on zero. */
export function format({ digits, places }: Decimal): string {
  if (places === 0) return digits.toString();
  const negative = digits < 0n;
  const text = (negative ? -digits : digits).toString().padStart(places + 1, "0");
  const fraction = text.slice(-places).replace(/0+$/, "");
  const whole = text.slice(0, -places);
  return `${negative ? "-" : ""}${whole}${fraction === "" ? "" : `.${fraction}`}`;
}

/** The digits with this many decimals, at least as many as the value has. */
function scaled({ digits, places }: Decimal, to: number): bigint {
  return places === to ? digits : digits * power(to - places);
}

export function plus(a: Decimal, b: Decimal): Decimal {
  const places = Math.max(a.places, b.places);
  return { digits: scaled(a, places) + scaled(b, places), places };
}

export function minus(a: Decimal, b: Decimal): Decimal {
  const places = Math.max(a.places, b.places);
  return { digits: scaled(a, places) - scaled(b, places), places };
}

export function times(a: Decimal, b: Decimal): Decimal {
  return { digits: a.digits * b.digits, places: a.places + b.places };
}

export function negate({ digits, places }: Decimal): Decimal {
  return { digits: -digits, places };
}

export function abs(value: Decimal): Decimal {
  return value.digits < 0n ? negate(value) : value;
}

/** -1, 0 or 1. */
export function sign({ digits }: Decimal): -1 | 0 | 1 {
  return digits < 0n ? -1 : digits > 0n ? 1 : 0;
}

/** Negative where a is less than b, 0 where they are equal. */
export function compare(a: Decimal, b: Decimal): number {
  const places = Math.max(a.places, b.places);
  const left = scaled(a, places);
  const right = scaled(b, places);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Rounds half away from zero, as tills do. */
export function round(value: Decimal, places: number): Decimal {
  if (value.places <= places) return value;
  const divisor = power(value.places - places);
  const { digits } = abs(value);
  const rounded = (digits + divisor / 2n) / divisor;
  return { digits: value.digits < 0n ? -rounded : rounded, places };
}

/** a divided by b, rounded to this many places; b is not zero. */
export function divide(a: Decimal, b: Decimal, places: number): Decimal {
  const shift = places + b.places - a.places;
  const over = shift >= 0 ? a.digits * power(shift) : a.digits;
  const under = shift >= 0 ? b.digits : b.digits * power(-shift);
  const negative = over < 0n !== under < 0n;
  const [top, bottom] = [over < 0n ? -over : over, under < 0n ? -under : under];
  const rounded = (2n * top + bottom) / (2n * bottom);
  return { digits: negative ? -rounded : rounded, places };
}

/** True where the value is a whole multiple of the step, which is not zero. */
export function isMultiple(value: Decimal, step: Decimal): boolean {
  const places = Math.max(value.places, step.places);
  return scaled(value, places) % scaled(step, places) === 0n;
}

/** A percentage of the value: `percent(of("48"), of("12.5"))` is 6. */
export function percent(value: Decimal, rate: Decimal): Decimal {
  return { digits: value.digits * rate.digits, places: value.places + rate.places + 2 };
}

/** True if two values, written with the same number of decimals, differ in one digit at most: a misreading. */
export function differsInOneDigit(a: Decimal, b: Decimal): boolean {
  const places = Math.max(a.places, b.places);
  const [left, right] = [a, b].map((value) => scaled(abs(value), places).toString());
  if (left === undefined || right === undefined || left.length !== right.length) return false;
  return [...left].filter((digit, index) => digit !== right[index]).length <= 1;
}

export function sum(values: readonly Decimal[]): Decimal {
  return values.reduce(plus, zero);
}
