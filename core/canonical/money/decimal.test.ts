import Big from "big.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as Decimal from "./decimal.ts";

/** Canonical decimals as amounts have them: up to 18 digits, up to 6 of them a fraction. */
const amounts = fc
  .tuple(fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n }), fc.integer({ min: 0, max: 6 }))
  .map(([digits, places]) => written(new Big(digits.toString()).div(new Big(10).pow(places))));

/** big.js is the reference: the values that it computes, written as canonical decimals. */
function written(value: Big): string {
  return value.eq(0) ? "0" : value.toFixed();
}

describe("exact decimals", () => {
  test("are written as they are read", () => {
    fc.assert(fc.property(amounts, (text) => Decimal.format(Decimal.of(text)) === text));
    expect(Decimal.format({ digits: -5n, places: 3 })).toBe("-0.005");
    expect(Decimal.format({ digits: 0n, places: 3 })).toBe("0");
    expect(Decimal.format({ digits: 1200n, places: 2 })).toBe("12");
  });

  test("add, subtract, multiply and compare as a library of arbitrary precision does", () => {
    fc.assert(
      fc.property(amounts, amounts, (left, right) => {
        const [a, b] = [Decimal.of(left), Decimal.of(right)];
        const [x, y] = [new Big(left), new Big(right)];
        expect(Decimal.format(Decimal.plus(a, b))).toBe(written(x.plus(y)));
        expect(Decimal.format(Decimal.minus(a, b))).toBe(written(x.minus(y)));
        expect(Decimal.format(Decimal.times(a, b))).toBe(written(x.times(y)));
        expect(Decimal.format(Decimal.percent(a, b))).toBe(written(x.times(y).times("0.01")));
        expect(Decimal.format(Decimal.abs(a))).toBe(written(x.abs()));
        expect(Decimal.compare(a, b)).toBe(x.cmp(y));
        expect(Decimal.sign(a)).toBe(x.cmp(0));
        expect(Decimal.format(Decimal.sum([a, b, a]))).toBe(written(x.plus(y).plus(x)));
      }),
    );
  });

  test("round and divide half away from zero, as it does", () => {
    fc.assert(
      fc.property(amounts, amounts, fc.integer({ min: 0, max: 6 }), (left, right, places) => {
        const [a, b] = [Decimal.of(left), Decimal.of(right)];
        expect(Decimal.format(Decimal.round(a, places))).toBe(written(new Big(left).round(places)));
        if (Decimal.sign(b) === 0) return;
        const exact = Big();
        exact.DP = places;
        expect(Decimal.format(Decimal.divide(a, b, places))).toBe(written(new exact(left).div(right)));
      }),
    );
  });

  test("know the multiples of a step", () => {
    const steps = fc.constantFrom("0.05", "0.1", "0.25", "0.5", "1", "5", "10", "50", "100");
    fc.assert(
      fc.property(amounts, steps, (text, step) => {
        expect(Decimal.isMultiple(Decimal.of(text), Decimal.of(step))).toBe(new Big(text).mod(step).eq(0));
      }),
    );
  });
});
