/** Bars that an evaluation must reach: `--fail-under total=0.95` and `--fail-under total=0.95:lower`. */
import { UsageError } from "#cli/terminal/context";
import type * as Read from "#core/evaluation/read";

/** `--fail-under`, which may be repeated. */
export const failUnder = [
  "--fail-under <bar>",
  "exit 1 below this, such as total=0.95; may be repeated",
  (value: string, before: string[]): string[] => [...before, value],
  [] as string[],
] as const;

interface Bar {
  /** A field's path, `micro` for all values, or `documents` for the share of correct documents. */
  readonly what: string;
  readonly least: number;
  /** Whether the lower bound of the 95 % interval counts instead of the value. */
  readonly lower: boolean;
}

export interface Judged extends Bar {
  /** Null: nothing was scored, so the bar is missed. */
  readonly value: number | null;
  /** The number of values, or of documents, that were judged. */
  readonly judged: number;
  readonly ok: boolean;
}

/** Throws UsageError for an invalid bar. */
export function parse(text: string): Bar {
  const match = /^(?<what>[^=\s]+)=(?<least>0|1|0?\.\d+|0\.\d+|1\.0+)(?<lower>:lower)?$/.exec(text);
  if (match?.groups === undefined)
    throw new UsageError(
      `--fail-under takes FIELD=SHARE or FIELD=SHARE:lower, such as total=0.95 or micro=0.9:lower, not ${JSON.stringify(text)}`,
    );
  const { what = "", least = "0", lower } = match.groups;
  return { what, least: Number(least), lower: lower !== undefined };
}

const wholes = ["micro", "documents"];

/** Throws UsageError for a bar of a field that the task does not have. @param paths - of the task's fields. */
export function checkFields(bars: readonly Bar[], paths: readonly string[]): void {
  for (const { what } of bars)
    if (![...wholes, ...paths].includes(what)) throw noField(what, [...wholes, ...paths]);
}

function noField(what: string, known: readonly string[]): UsageError {
  const meant = known.filter((path) => path.endsWith(`.${what}`));
  const hint = meant.length === 1 ? `: did you mean ${meant[0]}?` : `; there are ${known.join(", ")}`;
  return new UsageError(`--fail-under: there is no field ${JSON.stringify(what)}${hint}`);
}

/** Throws UsageError for a field that the task does not have. */
export function judge(bars: readonly Bar[], evaluation: Read.Shown): Judged[] {
  return bars.map((bar) => {
    const { value, interval, judged } = figureOf(bar.what, evaluation);
    const seen = bar.lower ? (interval?.[0] ?? null) : value;
    return { ...bar, value: seen, judged, ok: seen !== null && seen >= bar.least };
  });
}

interface Figure {
  value: number | null;
  interval: readonly number[] | null;
  judged: number;
}

function figureOf(what: string, { summary, fields }: Read.Shown): Figure {
  const all = summary?.canonical;
  if (what === "micro")
    return {
      ...{ value: all?.micro.accuracy ?? null, interval: all?.micro.intervals.accuracy ?? null },
      judged: fields.reduce((sum, { scored }) => sum + scored, 0),
    };
  if (what === "documents")
    return {
      ...{ value: all?.documents_right_share ?? null, interval: all?.documents_right_interval ?? null },
      judged: summary?.documents_judged ?? 0,
    };
  const field = fields.find(({ path }) => path === what);
  if (field === undefined) throw noField(what, [...wholes, ...fields.map(({ path }) => path)]);
  return { value: field.accuracy, interval: field.intervals.accuracy, judged: field.scored };
}
