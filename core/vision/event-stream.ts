/*
 * The openai client parses all data of an event stream as JSON, including heartbeats: `event: ping` without data, or an
 * empty `data:` line, throws within an answer. So the stream is parsed here first, by the rules of the HTML standard
 * (9.2.6), and only events with JSON are passed on.
 */

/**
 * The same stream with only the events whose data is JSON or `[DONE]`, each as one chunk. Comments, heartbeats and
 * other events are left out. The name of an event is kept only for errors, since some servers name every chunk. Pieces
 * may end anywhere, also within a line end or a character. The source is read only as fast as the result.
 */
export function onlyData(source: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  const events = new Events();
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) {
          controller.close();
          return;
        }
        const passed = events.push(value);
        if (passed === "") continue;
        controller.enqueue(encoder.encode(passed));
        return;
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

class Events {
  readonly #decoder = new TextDecoder();
  /** The current unfinished line, in the pieces in which it arrived; joined once. */
  #line: string[] = [];
  /** The last piece ended in a carriage return: a line feed at the start of the next belongs to it. */
  #returned = false;
  #name = "";
  #data: string[] = [];

  /** Takes the next piece of the stream; returns the completed events that are passed on. */
  push(piece: Uint8Array): string {
    const text = this.#decoder.decode(piece, { stream: true });
    let passed = "";
    let from = this.#returned && text.startsWith("\n") ? 1 : 0;
    if (text !== "") this.#returned = text.endsWith("\r");
    const ends = /\r\n|\n|\r/g;
    ends.lastIndex = from;
    for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
      this.#line.push(text.slice(from, end.index));
      passed += this.#endOfLine(this.#line.join(""));
      this.#line = [];
      from = ends.lastIndex;
    }
    if (from < text.length) this.#line.push(text.slice(from));
    return passed;
  }

  #endOfLine(line: string): string {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#name = value;
    return "";
  }

  #dispatch(): string {
    const lines = this.#data;
    const name = this.#name;
    this.#data = [];
    this.#name = "";
    if (!/^\s*[{[]/.test(lines.join("\n"))) return "";
    const head = name === "error" ? "event: error\n" : "";
    return `${head}${lines.map((line) => `data: ${line}\n`).join("")}\n`;
  }
}
