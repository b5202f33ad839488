/*
 * Server-sent events by the rules of the HTML standard (9.2.6), as far as model servers use them. Heartbeats come as
 * comments, as `event: ping`, and as empty `data:` lines within an answer.
 */

interface StreamEvent {
  /** JSON, or `[DONE]`. */
  data: string;
  /** The server named the event `error`. Other names have no meaning: some servers name every chunk. */
  isError: boolean;
}

/**
 * The events whose data is JSON or `[DONE]`. Comments, heartbeats and other events are left out. Pieces may end
 * anywhere, also within a line end or a character. The source is read only as fast as the events, and ends with them.
 */
export async function* events(source: AsyncIterable<Uint8Array>): AsyncGenerator<StreamEvent> {
  const parser = new Parser();
  for await (const piece of source) yield* parser.push(piece);
}

class Parser {
  readonly #decoder = new TextDecoder();
  /** The current unfinished line, in the pieces in which it arrived; joined once. */
  #line: string[] = [];
  /** The last piece ended in a carriage return: a line feed at the start of the next belongs to it. */
  #returned = false;
  #name = "";
  #data: string[] = [];

  /** Takes the next piece of the stream; returns the completed events that are passed on. */
  push(piece: Uint8Array): StreamEvent[] {
    const text = this.#decoder.decode(piece, { stream: true });
    const passed: StreamEvent[] = [];
    let from = this.#returned && text.startsWith("\n") ? 1 : 0;
    if (text !== "") this.#returned = text.endsWith("\r");
    const ends = /\r\n|\n|\r/g;
    ends.lastIndex = from;
    for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
      this.#line.push(text.slice(from, end.index));
      const event = this.#endOfLine(this.#line.join(""));
      if (event !== undefined) passed.push(event);
      this.#line = [];
      from = ends.lastIndex;
    }
    if (from < text.length) this.#line.push(text.slice(from));
    return passed;
  }

  #endOfLine(line: string): StreamEvent | undefined {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#name = value;
    return undefined;
  }

  #dispatch(): StreamEvent | undefined {
    const data = this.#data.join("\n");
    const isError = this.#name === "error";
    this.#data = [];
    this.#name = "";
    return /^\s*[{[]/.test(data) ? { data, isError } : undefined;
  }
}
