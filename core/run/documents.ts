import type { PartAnswer } from "#core/reading/schema";

interface Item {
  documents?: readonly PartAnswer[] | undefined;
}

/** A document of an item; `document` counts from 1, and is missing where the item is one document. */
export type Apart<I extends Item> = I & { document?: number };

/**
 * The documents of an item, each as an item of its own with the index, name and id of the whole: what tables, ledgers and evaluations
 * count. An item that was not split is its own document.
 */
export function documentsOf<I extends Item>(item: I): Apart<I>[] {
  const { documents, ...whole } = item;
  if (documents === undefined) return [item];
  return documents.map((answer, at) => {
    const { box: _, pages, complete, embedded, error, ...own } = answer;
    const head = { ...whole, complete: undefined, rows: undefined, embedded: undefined };
    return {
      ...head,
      ...own,
      ...(complete === undefined ? {} : { complete }),
      ...(embedded === undefined ? {} : { embedded }),
      pages: pages.length,
      error: error ?? null,
      document: at + 1,
    } as unknown as Apart<I>;
  });
}
