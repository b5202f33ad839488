/** Why an answer was cut off while it was being written. */
export type Cut = "whitespace" | "digits" | "repetition" | "too_long";

/** Pretty-printed JSON indents by dozens of characters at most. */
const maxWhitespaceRun = 200;
/** The longest numbers on receipts are card, fiscal and bar codes of some 40 digits. */
const maxDigitRun = 80;
/** The longest repeated unit looked for: about one line item with all its fields. */
const maxPeriod = 512;
/** From this many copies on, a repeated unit is a loop. */
const loopCopies = 30;
/** And from this many characters on: lines of dashes and dots are printed on every receipt. */
const loopMinCharacters = 240;
/** The tail is checked once per this many new characters: cheap, and late by one step at most. */
const checkEvery = 64;

/**
 * Watches an answer as it streams in and detects when it has degenerated: endless white space (models do that if the
 * grammar allows any), endless digits, repeated text, or more text than was requested.
 *
 * Whole entries of a list may repeat as often as `max_tokens` allows: 36 cans of cat food are 36 lines. Only empty
 * entries (nulls and empty texts) are not lines of a receipt, however many there are.
 */
export class Guard {
  #text = "";
  #whitespaceRun = 0;
  #digitRun = 0;
  #nextCheck = checkEvery;
  readonly #entries = new Entries();
  readonly #maxCharacters: number;

  /** `maxTokens` bounds the text: no tokenizer in use averages more than 32 characters per token. */
  constructor(maxTokens: number) {
    this.#maxCharacters = Math.max(4_096, maxTokens * 32);
  }

  /** Takes the next piece of the answer; returns a reason if the call should be cut off now. */
  push(delta: string): Cut | undefined {
    this.#text += delta;
    for (let i = 0; i < delta.length; i++) {
      const code = delta.charCodeAt(i);
      this.#entries.push(code);
      this.#whitespaceRun = isWhitespace(code) ? this.#whitespaceRun + 1 : 0;
      this.#digitRun = isNumeric(code) ? this.#digitRun + 1 : 0;
      if (this.#whitespaceRun > maxWhitespaceRun) return "whitespace";
      if (this.#digitRun > maxDigitRun) return "digits";
    }
    if (this.#text.length > this.#maxCharacters) return "too_long";
    if (this.#text.length >= this.#nextCheck) {
      this.#nextCheck = this.#text.length + checkEvery;
      const period = periodOf(this.#text);
      if (period !== undefined && !this.#repeatsLines(period)) return "repetition";
    }
    return undefined;
  }

  /** True if the repeated unit is one or several whole list entries that are not empty. */
  #repeatsLines(period: number): boolean {
    const end = this.#entries.endOfRepeated(this.#text.length, period);
    if (end === undefined) return false;
    try {
      return says(JSON.parse(`[${this.#text.slice(end - period + 1, end)}]`));
    } catch {
      return false;
    }
  }
}

/** Tracks where list entries end in a JSON text that is still growing. */
class Entries {
  #at = 0;
  #inString = false;
  #escaped = false;
  #lists = 0;
  /** Open brackets: a number for each list, 0 for an object. */
  readonly #open: number[] = [];
  /** Commas between entries, by place: which list they are in. */
  readonly #commas = new Map<number, number>();

  push(code: number): void {
    const at = this.#at;
    this.#at += 1;
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (code === backslash) this.#escaped = true;
      else if (code === quote) this.#inString = false;
      return;
    }
    if (code === quote) this.#inString = true;
    else if (code === openBracket) {
      this.#lists += 1;
      this.#open.push(this.#lists);
    } else if (code === openBrace) this.#open.push(0);
    else if (code === closeBracket || code === closeBrace) this.#open.pop();
    else if (code === comma && (this.#open.at(-1) ?? 0) > 0) this.#commas.set(at, this.#open.at(-1) ?? 0);
  }

  /** Position of the last comma that has a matching one, one period earlier in the same list. */
  endOfRepeated(length: number, period: number): number | undefined {
    for (let at = length - 1; at >= length - period; at--) {
      const list = this.#commas.get(at);
      if (list !== undefined && this.#commas.get(at - period) === list) return at;
    }
    return undefined;
  }
}

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d];

/** True if it contains any printed value. */
function says(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.values(value).some(says);
  return value !== null && value !== "";
}

/** True when the text ends in copies of one unit, enough of them to be a loop (or as many equal lines). */
export function endsInCopies(text: string): boolean {
  return periodOf(text) !== undefined;
}

/** Length of the unit that the text ends in copies of; undefined when there are too few of them. */
function periodOf(text: string): number | undefined {
  for (let period = 1; period <= maxPeriod; period++) {
    const needed = Math.max(loopMinCharacters, period * loopCopies);
    if (text.length < needed) return undefined;
    let at = text.length - 1;
    const stop = text.length - needed + period;
    while (at >= stop && text.charCodeAt(at) === text.charCodeAt(at - period)) at--;
    if (at < stop) return period;
  }
  return undefined;
}

function isWhitespace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0xa0 || code === 0x3000;
}

/** Digits and the point: 0.000… may be endless in the same way. Not the comma, which also separates numbers. */
function isNumeric(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || code === 0x2e;
}
