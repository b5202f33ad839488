/** One match of what may hide a parameter (strings, quoted names, comments) or of a parameter itself. */
const token =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\?\d*|[:@$][\p{L}\p{N}_$]+(?:::[\p{L}\p{N}_$]+)*/gu;

/** A character that continues an identifier: `a$b` and `a:b` hold no parameter that begins at the sign. */
const identifierPart = /[\p{L}\p{N}_$]/u;

/**
 * The names of a statement's parameters in the order of SQLite's parameter numbers (entry 0 is parameter 1);
 * `undefined` for `?` and for numbers that do not occur. Rules: https://sqlite.org/lang_expr.html#varparam.
 * node:sqlite does not show sqlite3_bind_parameter_name, and positional values for `:name` parameters need it.
 */
export function parameterNames(sql: string): (string | undefined)[] {
  const found: (string | undefined)[] = [];
  for (const match of sql.matchAll(token)) {
    const text = match[0];
    const sign = text[0] ?? "";
    if (sign === "?") {
      const number = text === "?" ? found.length + 1 : Number(text.slice(1));
      // 32766 is SQLite's largest number; a larger one fails in prepare, before its gap is filled here.
      if (number < 1 || number > 32_766) continue;
      while (found.length < number) found.push(undefined);
      if (text !== "?") found[number - 1] = text;
    } else if (":@$".includes(sign)) {
      if (identifierPart.test(sql[match.index - 1] ?? "")) continue;
      if (!found.includes(text)) found.push(text);
    }
  }
  return found;
}

const nothing = String.raw`(?:[\s;]+|--[^\n]*(?:\n|$)|/\*[\s\S]*?(?:\*/|$))*`;
const blank = new RegExp(`^${nothing}$`);
const explain = new RegExp(`^${nothing}explain\\b`, "i");

/** Whether a text holds only white space, comments and semicolons (Node 22 prepares such a text, 24 throws). */
export function isBlank(sql: string): boolean {
  return blank.test(sql);
}

/** Whether this is an EXPLAIN, which runs without values. */
export function isExplain(sql: string): boolean {
  return explain.test(sql);
}
