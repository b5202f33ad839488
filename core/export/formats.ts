import type { Maker } from "#core/export/table/maker";

/*
 * Formats that are made on demand: by the API for runs of up to `batches.exportedItems` items, by the
 * command line at any size, and by both with the same code from the same source, the items' file. (What is written of
 * every run as it ends is in core/run/results/document.ts.)
 *
 * A new format is a line here and a module with a `make`. What it has to be told beside the results (accounts, tax
 * keys) is its `mapping`: a caller who brings none is refused before anything is read.
 */

interface Format {
  contentType: string;
  /** Of the file's name, and by which the command line knows what is wanted. */
  ending: `.${string}`;
  /** Needs a mapping. */
  mapped: boolean;
  /** How the file's name has to begin. */
  beginning?: string;
  /** Its module: only who makes one loads it. */
  load(): Promise<Maker>;
}

export const made = {
  xlsx: {
    contentType: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ending: ".xlsx",
    mapped: false,
    load: () => import("#core/export/table/xlsx"),
  },
  datev: {
    contentType: "text/csv; charset=windows-1252",
    ending: ".csv",
    mapped: true,
    beginning: "EXTF_",
    load: () => import("./ledger/datev.ts"),
  },
  xero: {
    contentType: "text/csv; charset=utf-8",
    ending: ".csv",
    mapped: true,
    load: () => import("./ledger/xero.ts"),
  },
  quickbooks: {
    contentType: "text/csv; charset=utf-8",
    ending: ".csv",
    mapped: true,
    load: () => import("./ledger/quickbooks.ts"),
  },
  beancount: {
    contentType: "text/plain; charset=utf-8",
    ending: ".beancount",
    mapped: true,
    load: () => import("./ledger/beancount.ts"),
  },
} as const satisfies Record<string, Format>;

export type Made = keyof typeof made;
export const names = Object.keys(made) as [Made, ...Made[]];

/** How a file of this format has to be called, in front. */
export function beginningOf(format: Made): string {
  const { beginning }: Format = made[format];
  return beginning ?? "";
}

/** The name of a run's file. */
export function nameOf(format: Made, runId: string): string {
  const { ending, mapped }: Format = made[format];
  const kind = mapped ? format : "results";
  return `${beginningOf(format)}${runId}${ending === `.${kind}` ? "" : `.${kind}`}${ending}`;
}

export const isMade = (format: string): format is Made => Object.hasOwn(made, format);
