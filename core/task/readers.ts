import * as PrintedDate from "#core/canonical/dates/printed-date";
import * as Time from "#core/canonical/dates/time";
import * as Count from "#core/canonical/money/count";
import * as Currency from "#core/canonical/money/currency";
import * as Money from "#core/canonical/money/money";
import type { formats } from "#core/task/definition/field";

/** The check of each format, also for JSON Schema validators. */
export const formatChecks: Record<(typeof formats)[keyof typeof formats], (value: string) => boolean> = {
  "x-money": (value) => Money.parse(value) !== null,
  "x-count": (value) => Count.parse(value) !== null,
  "x-percent": (value) => Count.parsePercent(value) !== null,
  "x-date": PrintedDate.isReadable,
  "x-time": (value) => Time.parse(value) !== null,
  "x-currency": (value) => Currency.isMark(value),
};
