import * as Continued from "#core/reading/long-list/continued";
import * as FileText from "#core/reading/told/file-text";
import * as Facts from "#local/model/rules/facts";
import { type Filled, fill } from "#local/model/rules/fill";
import { namesIn } from "#local/model/rules/names";
import * as Page from "./page.ts";
import * as Tokens from "./tokens.ts";

interface Question {
  /** All text of the messages. */
  text: string;
  /** The JSON Schema that the answer must have; absent when none was asked for. */
  schema: Record<string, unknown> | undefined;
  /** JSON of any shape was asked for. */
  wantsJson: boolean;
}

const optional = { type: ["string", "null"] };

/**
 * The answer to a question about pictures, as tokens. With a schema: exactly its shape. Without one: JSON of
 * the field names that the text mentions, else the recognized text, row by row.
 */
export function answer(pages: Page.Page[], question: Question): Tokens.Token[] {
  const { lines, rest } = FileText.taken(question.text);
  const facts = Facts.find(lines.length === 0 ? pages : [...pages, Page.ofTexts(lines)]);
  if (question.schema)
    return Tokens.fromFilled(withoutRead(fill(question.schema, facts), Continued.asked(rest)));
  const names = namesIn(rest);
  if (names.length > 0 || question.wantsJson) {
    return Tokens.fromFilled(names.length > 0 ? fill(schemaOf(names), facts) : everything(facts));
  }
  if (pages.length === 0) {
    return Tokens.fromLines([
      { text: "This server reads pictures, and the message holds none.", confidence: 1 },
    ]);
  }
  return Tokens.fromLines(facts.rows);
}

/** Without the entries of a list that the question says have been read. */
function withoutRead(filled: Filled, asked: ReturnType<typeof Continued.asked>): Filled {
  const [name, ...list] = asked?.list ?? [];
  if (asked === undefined) return filled;
  if (name === undefined)
    return filled.kind === "array" ? { ...filled, items: filled.items.slice(asked.after) } : filled;
  if (filled.kind !== "object") return filled;
  const entries = filled.entries.map(([key, value]): [string, Filled] => [
    key,
    key === name ? withoutRead(value, { list, after: asked.after }) : value,
  ]);
  return { ...filled, entries };
}

function schemaOf(names: string[]): Record<string, unknown> {
  const properties = ["name", "quantity", "unit_price", "price"].map((name) => [name, optional]);
  const item = { type: "object", properties: Object.fromEntries(properties) };
  return {
    type: "object",
    properties: Object.fromEntries(
      names.map((name) => [name, name === "items" ? { type: "array", items: item } : optional]),
    ),
  };
}

/** JSON without a schema: what was found, under the rules' own names. */
function everything(facts: Facts.Facts): Filled {
  const value = (printed: { text: string; confidence: number }): Filled => ({
    kind: "value",
    value: printed.text,
    confidence: printed.confidence,
  });
  return { kind: "object", entries: [...facts.values].map(([key, printed]) => [key, value(printed)]) };
}
