/**
 * A caller's field name as a message may repeat it: only if it has the form of a name (also `files[]` as in PHP and
 * Rails), because otherwise it is the caller's text.
 */
export const shownName = (name: PropertyKey): string =>
  /^[\w.[\]-]{1,64}$/.test(String(name)) ? String(name) : "(unprintable)";
