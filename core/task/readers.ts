import * as Count from "#core/canonical/count";
import * as Currency from "#core/canonical/currency";
import * as Money from "#core/canonical/money";
import * as PrintedDate from "#core/canonical/printed-date";
import * as Time from "#core/canonical/time";
import type { formats } from "#core/task/definition/field";

/** What each format asserts of a string; also what a JSON Schema validator needs to know them. */
export const formatChecks: Record<(typeof formats)[keyof typeof formats], (value: string) => boolean> = {
  "x-money": (value) => Money.parse(value) !== null,
  "x-count": (value) => Count.parse(value) !== null,
  "x-percent": (value) => Count.parsePercent(value) !== null,
  "x-date": PrintedDate.isReadable,
  "x-time": (value) => Time.parse(value) !== null,
  "x-currency": (value) => Currency.isMark(value),
};
