import * as z from "zod";
import type { FieldKind } from "#core/canonical/normalize";

/**
 * The building blocks of task schemas. Every value is a string exactly as printed, or null if it is not on the paper.
 * A format says how the string must be readable; only validation checks it (validate.ts, so that listing tasks loads
 * no readers). It is never sent to the model, because engines switch the grammar backend for, or refuse, formats that
 * they do not know.
 */

/** Own formats by kind of field. `text` has none. */
export const formats = {
  money: "x-money",
  count: "x-count",
  percent: "x-percent",
  date: "x-date",
  time: "x-time",
  currency: "x-currency",
} as const satisfies { [Kind in Exclude<FieldKind, "text">]: string };

function formatted(kind: keyof typeof formats, description: string) {
  return z.string().nullable().meta({ format: formats[kind], description });
}

/** An amount of money. */
export const money = (description: string) => formatted("money", description);
/** A quantity, with its unit where one is printed. */
export const count = (description: string) => formatted("count", description);
/** A rate in percent. */
export const percent = (description: string) => formatted("percent", description);
/** A calendar date. */
export const date = (description: string) => formatted("date", description);
/** A time of day. */
export const time = (description: string) => formatted("time", description);
/** A currency code or symbol. */
export const currency = (description: string) => formatted("currency", description);
/** Any other text: never empty, null instead. */
export const text = (description: string) => z.string().min(1).nullable().meta({ description });

/** An object that has exactly these fields. */
export const group = <Shape extends z.ZodRawShape>(shape: Shape) => z.strictObject(shape);
/** A list of such objects, empty when the paper has none. */
export const rows = <Shape extends z.ZodRawShape>(description: string, shape: Shape) =>
  z.array(z.strictObject(shape)).meta({ description });
