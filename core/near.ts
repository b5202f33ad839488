import leven from "leven";

/** Longer texts are not mistyped names. */
const longest = 100;
/** The most suggestions. */
const most = 3;
/** At most this many names are listed when none of them is near. */
const listed = 24;

/** Common other words for a name; each counts only if that name is possible. */
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
 * The names most likely meant by an unknown one, likeliest first, at most three: those that differ only in case and
 * separators, else those with the fewest wrong letters (Levenshtein), else those that contain it ("image" in
 * `image_base64`, "task" in `task_id`). Empty if none is near.
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
  // In a short name every letter counts: `ref` is not `run`.
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

/** The name that was probably meant, else the list of names if it is short. */
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
