import * as Document from "#core/document/document";

/** The first page of a file, and the number of its pages or frames. */
export async function inspect(
  bytes: Uint8Array,
  how: Document.OpenOptions = {},
): Promise<Document.Page & { pages: number }> {
  const { first, frames } = await Document.open(bytes, how);
  return { ...first, pages: frames };
}
