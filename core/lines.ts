const newLine = 0x0a;

/**
 * Splits a text that comes in pieces into lines without their ends, as bytes, so that the caller can count positions.
 * A last line without an end counts; an empty one does not. Memory holds one line and one piece.
 */
export async function* of(source: AsyncIterable<Uint8Array | string>): AsyncGenerator<Buffer> {
  let begun: Buffer[] = [];
  for await (const piece of source) {
    const bytes =
      typeof piece === "string"
        ? Buffer.from(piece)
        : Buffer.from(piece.buffer, piece.byteOffset, piece.length);
    let from = 0;
    for (let end = bytes.indexOf(newLine); end !== -1; end = bytes.indexOf(newLine, from)) {
      const last = bytes.subarray(from, end);
      yield begun.length === 0 ? last : Buffer.concat([...begun, last]);
      begun = [];
      from = end + 1;
    }
    // A copy, because the owner of the piece may reuse it.
    if (from < bytes.length) begun.push(Buffer.from(bytes.subarray(from)));
  }
  if (begun.length > 0) yield Buffer.concat(begun);
}
