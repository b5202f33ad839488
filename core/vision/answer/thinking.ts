/*
 * Marks of thinking that remain in the text if no reasoning parser at the server removes it. Of model families that
 * read pictures, and of those that are served with them: Qwen, DeepSeek, GLM, MiMo, InternVL (`<think>`), Claude-like
 * tunes (`<thinking>`), EXAONE (`<thought>`), Seed (`<seed:think>`), Magistral (`[THINK]`), Kimi-VL (`◁think▷`),
 * Command A (`<|START_THINKING|>`), gpt-oss (`<|channel|>analysis`, and `assistantfinal` if special tokens are
 * skipped), Gemma (`<|channel>thought`), Open-O1 (`<|begin_of_thought|>`).
 */

const tags = "(?:think|thinking|thoughts?|reasoning|reflection|scratchpad|seed:think)";
const open = `<${tags}\\s{0,8}>|\\[THINK\\]|◁think▷|<\\|(?:begin_of_thought|START_THINKING|think)\\|>|<\\|channel\\|?>(?:analysis|commentary|thought)`;
const close = `</${tags}\\s{0,8}>|\\[/THINK\\]|◁/think▷|<\\|(?:end_of_thought|END_THINKING|/think)\\|>|<\\|channel\\|?>final|assistantfinal|<channel\\|>`;

const closing = new RegExp(close, "gi");
const marks = new RegExp(`(?<brace>[{}])|(?<open>${open})|(?<close>${close})`, "gi");
const opensText = new RegExp(`^\\s*(?:${open})`, "i");

export interface Mark {
  kind: "brace" | "open" | "close";
  start: number;
  end: number;
}

/** The next brace or mark of thinking at or behind a place. */
export function nextMark(text: string, from: number): Mark | undefined {
  marks.lastIndex = from;
  const found = marks.exec(text);
  if (found === null) return undefined;
  const { brace, open: opened } = found.groups ?? {};
  const kind = brace !== undefined ? "brace" : opened !== undefined ? "open" : "close";
  return { kind, start: found.index, end: found.index + found[0].length };
}

/** The position after the mark that ends the thinking which began before `from`; undefined if it never ends. */
export function endOfThinking(text: string, from: number): number | undefined {
  closing.lastIndex = from;
  const found = closing.exec(text);
  return found === null ? undefined : found.index + found[0].length;
}

/** True for a text that is only thinking: never closed, or closed with nothing after it. */
export function isOnlyThinking(text: string): boolean {
  let answer: number | undefined = opensText.test(text) ? text.length : undefined;
  for (let end = endOfThinking(text, 0); end !== undefined; end = endOfThinking(text, end)) answer = end;
  return answer !== undefined && text.slice(answer).trim() === "";
}
