/** One place at which two JSON values differ. */
export interface Difference {
  /** As a dotted path; entries of lists by their index. */
  path: string;
  /** Undefined if there is no value at this place. */
  stored?: unknown;
  now?: unknown;
}

/**
 * The differences of two JSON values, leaf by leaf, in the order of the first. Values without a difference have the
 * same bytes: another order of members is a difference of their object.
 */
export function differences(stored: unknown, now: unknown, path = ""): Difference[] {
  if (JSON.stringify(stored) === JSON.stringify(now)) return [];
  const here = path === "" ? [] : [path];
  if (isGroup(stored) && isGroup(now) && Array.isArray(stored) === Array.isArray(now)) {
    const found = namesOf(stored, now).flatMap((name) =>
      differences(stored[name], now[name], [...here, name].join(".")),
    );
    // All members are equal; only their order differs.
    if (found.length > 0) return found;
  }
  return [
    {
      path,
      ...(stored === undefined ? {} : { stored }),
      ...(now === undefined ? {} : { now }),
    },
  ];
}

type Group = Record<string, unknown>;

const isGroup = (value: unknown): value is Group => typeof value === "object" && value !== null;

const namesOf = (a: Group, b: Group): string[] => [...new Set([...Object.keys(a), ...Object.keys(b)])];
