import type { Document } from "./labelled-for-tests.ts";
import { type Field, leaves } from "./normalize.ts";

/** One amount of a document with one wrong digit, as a model misreads it. */
export interface Planted {
  document: Document;
  path: string;
  answer: unknown;
}

/**
 * Every amount and quantity of a document, each of its digits in turn replaced by other digits: `steps` later on the
 * dial. What reads as the same value (a zero in front) is planted as well; the order is always the same.
 */
export function* plant(
  document: Document,
  fields: readonly Field[],
  steps: readonly number[] = [1, 4, 7],
): Generator<Planted> {
  for (const { path, kind, printed } of leaves(fields, document.answer)) {
    if (kind !== "money" && kind !== "count") continue;
    for (const { index } of printed.matchAll(/\d/g)) {
      for (const step of steps) {
        const digit = (Number(printed[index]) + step) % 10;
        const wrong = `${printed.slice(0, index)}${digit}${printed.slice(index + 1)}`;
        yield { document, path, answer: replaced(document.answer, path, wrong) };
      }
    }
  }
}

/** A copy with another value at a concrete path. */
export function replaced(answer: unknown, path: string, value: string): unknown {
  const copy: unknown = structuredClone(answer);
  const steps = path.split(/[.[\]]+/).filter((step) => step !== "");
  const last = steps.pop() ?? "";
  const parent = steps.reduce<unknown>((node, step) => (node as Record<string, unknown>)[step], copy);
  (parent as Record<string, unknown>)[last] = value;
  return copy;
}
