import leven from "leven";

/** A longer text is not a mistyped name. */
const longest = 100;
/** More than these are no help. */
const most = 3;
/** At most this many names are listed when none of them is near. */
const listed = 24;

/** What people call a thing that has another name here; each counts only where that name is asked for. */
const called: Readonly<Record<string, readonly string[]>> = {
  ndjson: ["jsonl"],
  jsonlines: ["jsonl"],
  excel: ["xlsx"],
  size: ["bytes"],
  contentlength: ["bytes"],
  file: ["image_base64"],
  success: ["succeeded"],
  sucess: ["succeeded"],
  done: ["succeeded"],
  completed: ["succeeded"],
  error: ["failed"],
  pending: ["running"],
  queued: ["running"],
};

/**
 * Which of these names was meant by one that is none of them, the likeliest first, three at most: the same but for case
 * and separators, else those with the fewest wrong letters (Levenshtein), else those of which it is a beginning or a
 * part ("image" of `image_base64`, "task" of `task_id`). Empty where nothing is near.
 */
export function near(given: string, names: readonly string[]): string[] {
  const wanted = plain(given);
  if (wanted === "" || given.length > longest) return [];
  const same = names.filter((name) => plain(name) === wanted);
  if (same.length > 0) return same.slice(0, most);
  const known = Object.hasOwn(called, wanted)
    ? (called[wanted] ?? []).filter((name) => names.includes(name))
    : [];
  if (known.length > 0) return known;
  const scored = names.map((name) => ({ name, wrong: leven(wanted, plain(name)) }));
  const fewest = Math.min(...scored.map(({ wrong }) => wrong));
  // Of a short name every letter counts: `ref` is not `run`.
  if (fewest <= Math.min(3, Math.floor(wanted.length / 3)))
    return scored
      .filter(({ wrong }) => wrong === fewest)
      .map(({ name }) => name)
      .slice(0, most);
  if (wanted.length < 3) return [];
  return names.filter((name) => isPart(wanted, plain(name))).slice(0, most);
}

/** ": did you mean `task_id`?", or nothing. */
export function hint(given: string, names: readonly string[]): string {
  const found = near(given, names);
  return found.length === 0 ? "" : `: did you mean ${anyOf(found)}?`;
}

/** Which name was meant, else which there are, of not too many. */
export function choice(given: string, names: readonly string[]): string {
  const found = hint(given, names);
  if (found !== "" || names.length === 0 || names.length > listed) return found;
  return `: there are ${names.map((name) => `\`${name}\``).join(", ")}`;
}

/** "`a`, `b` or `c`" */
export function anyOf(names: readonly string[]): string {
  const quoted = names.map((name) => `\`${name}\``);
  const last = quoted.pop() ?? "";
  return quoted.length === 0 ? last : `${quoted.join(", ")} or ${last}`;
}

const plain = (name: string) => name.toLowerCase().replace(/[\s_.:/-]/g, "");
const isPart = (wanted: string, name: string) =>
  name.startsWith(wanted) || name.endsWith(wanted) || (name.length >= 3 && wanted.startsWith(name));
