/**
 * Fields that a server has refused, by its address, so that they are not tried in every call. Stored only if the call
 * without them succeeded, and for ten minutes: a server may be replaced, and an error may name the wrong field.
 */
const known = new Map<string, { fields: ReadonlySet<string>; until: number }>();
const keepMs = 600_000;

/** Never stored: the refusal may concern one caller's schema, and other callers must keep the constraint. */
const neverNoted = new Set(["response_format", "structured_outputs"]);

/** Fields that this server is known to refuse. */
export function refusedBy(server: { baseUrl: string }): ReadonlySet<string> {
  const found = known.get(server.baseUrl);
  return found !== undefined && found.until > Date.now() ? found.fields : new Set();
}

/** Records that the server answers only without these fields. The next question leaves them out. */
export function note(server: { baseUrl: string }, without: ReadonlySet<string>): void {
  const fields = [...without].filter((field) => !neverNoted.has(field));
  const before = refusedBy(server);
  if (fields.every((field) => before.has(field))) return;
  known.set(server.baseUrl, { fields: new Set(fields), until: Date.now() + keepMs });
}

/**
 * The fields left out so far, with those that the server refused now; alternatives of the same option exclude each
 * other.
 */
export function withRefused(without: ReadonlySet<string>, refused: readonly string[]): ReadonlySet<string> {
  const pairs = refused.includes("logprobs") ? ["top_logprobs"] : [];
  return new Set([...without, ...refused, ...pairs]);
}
