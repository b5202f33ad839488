import type * as Wire from "../wire.ts";

/** The most that are named; all are counted. */
const named = 100;

/** Collects items, documents and records that are in no figure. */
export class Unmatched {
  readonly #found: Wire.Unmatched = {
    items: { count: 0, first: [] },
    records: { count: 0, first: [] },
    documents: { count: 0, first: [] },
    unknown_fields: [],
  };

  item(item: Wire.Unmatched["items"]["first"][number]): void {
    add(this.#found.items, item);
  }

  record(record: Wire.Unmatched["records"]["first"][number]): void {
    add(this.#found.records, record);
  }

  document(document: Wire.Unmatched["documents"]["first"][number]): void {
    add(this.#found.documents, document);
  }

  unknown(fields: readonly string[]): void {
    const known = this.#found.unknown_fields;
    for (const field of fields) if (known.length < named && !known.includes(field)) known.push(field);
  }

  get found(): Wire.Unmatched {
    return this.#found;
  }
}

function add<T>(into: { count: number; first: T[] }, one: T): void {
  into.count += 1;
  if (into.first.length < named) into.first.push(one);
}
