/** Why an answer was cut off while it was being written. */
export type Cut = "whitespace" | "digits" | "repetition" | "too_long";

/** Pretty-printed JSON indents by dozens of characters at most. */
const maxWhitespaceRun = 200;
/** The longest numbers on receipts are card, fiscal and bar codes of some 40 digits. */
const maxDigitRun = 80;
/** The longest repeated unit looked for: about one line item with all its fields. */
const maxPeriod = 512;
/** A unit counts as a loop from this many copies on. A receipt with 20 equal lines is rare, but real. */
const loopCopies = 30;
/** And from this many characters on: rules of dashes and dots are printed on every receipt. */
const loopMinCharacters = 240;
/** The tail is compared with itself once per this many new characters: cheap, and late by one step at most. */
const checkEvery = 64;

/**
 * Watches an answer as it streams in and says when it has degenerated: endless white space (models do that where
 * the grammar allows any), endless digits, the same text over and over, or more text than was ordered.
 */
export class Guard {
  #text = "";
  #whitespaceRun = 0;
  #digitRun = 0;
  #nextCheck = checkEvery;
  readonly #maxCharacters: number;

  /** `maxTokens` bounds the text: no tokenizer in use has tokens of more than 32 characters on average. */
  constructor(maxTokens: number) {
    this.#maxCharacters = Math.max(4_096, maxTokens * 32);
  }

  /** The next piece of the answer; a reason when the call should be cut off now. */
  push(delta: string): Cut | undefined {
    this.#text += delta;
    for (let i = 0; i < delta.length; i++) {
      const code = delta.charCodeAt(i);
      this.#whitespaceRun = isWhitespace(code) ? this.#whitespaceRun + 1 : 0;
      this.#digitRun = isNumeric(code) ? this.#digitRun + 1 : 0;
      if (this.#whitespaceRun > maxWhitespaceRun) return "whitespace";
      if (this.#digitRun > maxDigitRun) return "digits";
    }
    if (this.#text.length > this.#maxCharacters) return "too_long";
    if (this.#text.length >= this.#nextCheck) {
      this.#nextCheck = this.#text.length + checkEvery;
      if (loops(this.#text)) return "repetition";
    }
    return undefined;
  }
}

/** True when the text ends in copies of one unit, enough of them to be no printed text. */
function loops(text: string): boolean {
  for (let period = 1; period <= maxPeriod; period++) {
    const needed = Math.max(loopMinCharacters, period * loopCopies);
    if (text.length < needed) return false;
    let at = text.length - 1;
    const stop = text.length - needed + period;
    while (at >= stop && text.charCodeAt(at) === text.charCodeAt(at - period)) at--;
    if (at < stop) return true;
  }
  return false;
}

function isWhitespace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0xa0 || code === 0x3000;
}

/** Digits and the point: 0.000… is endless in the same way. Not the comma, which also stands between numbers. */
function isNumeric(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || code === 0x2e;
}
