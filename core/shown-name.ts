/**
 * A name that a caller gave to a field, as a message may repeat it: where it looks like a name (PHP's and Rails' `files[]`
 * too), else not, for it is text of theirs.
 */
export const shownName = (name: PropertyKey): string =>
  /^[\w.[\]-]{1,64}$/.test(String(name)) ? String(name) : "(unprintable)";
