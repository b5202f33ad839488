import type { Filled } from "./fill.ts";

/** A piece of the answer with the natural logarithm of its probability. */
export interface Token {
  text: string;
  logprob: number;
}

/** Text of a value is cut into pieces of this many characters: a tokenizer's usual length. */
const PIECE_CHARS = 4;
/** Braces, names and quotes follow from the schema: a server that masks by grammar reports them as certain. */
const CERTAIN = 0;
/** JSON has no number for log(0), and vLLM writes this instead. */
const LOWEST_LOGPROB = -9999;

/** Compact JSON of the filled schema; the pieces of a value carry the confidence with which it was read. */
export function fromFilled(filled: Filled): Token[] {
  const tokens: Token[] = [];
  write(filled, tokens);
  return tokens;
}

/** Plain text, each line with its own confidence. */
export function fromLines(lines: { text: string; confidence: number }[]): Token[] {
  return lines.flatMap(({ text, confidence }, index) => [
    ...(index > 0 ? [{ text: "\n", logprob: CERTAIN }] : []),
    ...pieces(text).map((piece) => ({ text: piece, logprob: logprobOf(confidence) })),
  ]);
}

/** Tokens of a text that this server did not write: about four characters each. */
export function estimate(text: string): number {
  return Math.ceil(text.length / PIECE_CHARS);
}

function write(filled: Filled, out: Token[]): void {
  if (filled.kind === "value") {
    const logprob = logprobOf(filled.confidence);
    if (typeof filled.value !== "string") {
      out.push({ text: JSON.stringify(filled.value), logprob });
      return;
    }
    out.push({ text: '"', logprob: CERTAIN });
    const escaped = JSON.stringify(filled.value).slice(1, -1);
    out.push(...pieces(escaped).map((text) => ({ text, logprob })));
    out.push({ text: '"', logprob: CERTAIN });
  } else if (filled.kind === "array") {
    out.push({ text: "[", logprob: CERTAIN });
    filled.items.forEach((item, index) => {
      if (index > 0) out.push({ text: ",", logprob: CERTAIN });
      write(item, out);
    });
    out.push({ text: "]", logprob: CERTAIN });
  } else {
    out.push({ text: "{", logprob: CERTAIN });
    filled.entries.forEach(([name, value], index) => {
      const key = `${index > 0 ? "," : ""}${JSON.stringify(name)}:`;
      out.push(...pieces(key).map((text) => ({ text, logprob: CERTAIN })));
      write(value, out);
    });
    out.push({ text: "}", logprob: CERTAIN });
  }
}

function pieces(text: string): string[] {
  // By code point: half a surrogate pair has no bytes of its own.
  const characters = [...text];
  const result: string[] = [];
  for (let at = 0; at < characters.length; at += PIECE_CHARS) {
    result.push(characters.slice(at, at + PIECE_CHARS).join(""));
  }
  return result;
}

function logprobOf(confidence: number): number {
  return confidence > 0 ? Math.min(0, Math.log(confidence)) : LOWEST_LOGPROB;
}
