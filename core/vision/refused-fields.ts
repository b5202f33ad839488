/**
 * Fields that a server has refused, by its address: asked for once, not at every call. Noted only when the call
 * without them was answered, and for ten minutes: a server may be replaced, and an error may name what is innocent.
 */
const known = new Map<string, { fields: ReadonlySet<string>; until: number }>();
const keepMs = 600_000;

/** Never remembered: the refusal may be about one caller's schema, and other callers must keep the constraint. */
const neverNoted = new Set(["response_format", "structured_outputs"]);

/** What this server is known not to take. */
export function refusedBy(server: { baseUrl: string }): ReadonlySet<string> {
  const found = known.get(server.baseUrl);
  return found !== undefined && found.until > Date.now() ? found.fields : new Set();
}

/** The server has answered without these fields: the next question need not try them. */
export function note(server: { baseUrl: string }, without: ReadonlySet<string>): void {
  const fields = [...without].filter((field) => !neverNoted.has(field));
  const before = refusedBy(server);
  if (fields.every((field) => before.has(field))) return;
  known.set(server.baseUrl, { fields: new Set(fields), until: Date.now() + keepMs });
}

/** What was left out, with what the server has refused now. The one is refused without the other. */
export function withRefused(without: ReadonlySet<string>, refused: readonly string[]): ReadonlySet<string> {
  const pairs = refused.includes("logprobs") ? ["top_logprobs"] : [];
  return new Set([...without, ...refused, ...pairs]);
}
