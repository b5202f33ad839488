/** The mistakes in a request or a file as people read them. */
import * as Text from "#cli/terminal/text";

/** As this program and a server report it. */
interface Issue {
  path: string;
  message: string;
  line?: number | undefined;
  file?: string | undefined;
}

/** More mistakes than this are printed on a line each. */
const few = 3;

/**
 * One mistake: "line 3: custom_id: is taken", and in a ground truth "record 4 (d.jpg), line 5: total: is labeled twice". Not
 * yet safe for a terminal.
 */
export function line({ line: number, path, file, message }: Issue): string {
  const record = /^records\.(\d+)(?:\.(.*))?$/s.exec(path);
  const at = number ? `line ${number}` : "";
  if (record === null) return [at, path, message].filter(Boolean).join(": ");
  const which = `record ${Number(record[1]) + 1}${file === undefined ? "" : ` (${file})`}`;
  return [[which, at].filter(Boolean).join(", "), record[2], message].filter(Boolean).join(": ");
}

/**
 * All mistakes, safe for a terminal: a few on one line, more of them on a line each, the first ones with the number of the
 * others.
 * @param count - the number of all, if `issues` has only the first of them.
 */
export function text(issues: readonly Issue[], count = issues.length): string {
  const lines = issues.map(line);
  if (count <= few) return lines.map(Text.shown).join("; ");
  return `${count} mistakes:\n  ${Text.list(lines, { count })}`;
}
