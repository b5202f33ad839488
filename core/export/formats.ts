import type { Maker } from "#core/export/table/maker";

/*
 * Formats that are made on demand: by the API for runs of up to `batches.exportedItems` items, and by the command line
 * at any size, with the same code and from the same items file. (The files written when a run ends are in
 * core/run/results/document.ts.)
 *
 * A new format is a line here and a module with a `make`. If it needs settings in addition to the results (accounts,
 * tax keys), they are its `mapping`: a request without one is refused before anything is read.
 */

interface Format {
  contentType: string;
  /** Extension of the file's name, from which the command line infers the format. */
  ending: `.${string}`;
  /** True if it needs a mapping. */
  mapped: boolean;
  /** Required prefix of the file's name. */
  beginning?: string;
  /** Loads its module, only when it is needed. */
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

/** The required prefix of this format's file names. */
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
