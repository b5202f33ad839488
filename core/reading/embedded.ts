import * as Addition from "#core/document/addition";
import * as Document from "#core/document/document";
import type { Extract } from "./schema.ts";
import type { Work } from "./work.ts";

type Answer = Pick<Extract, "embedded" | "warnings">;

/** Adds the e-invoice that the document carries to an answer, or a warning that it cannot be read. */
export async function note(answer: Answer, { document, signal, log }: Work): Promise<void> {
  const looking = Document.embedded(document, { signal });
  const found = await Addition.optional(looking, log, { event: "embedded_not_looked_for" });
  if (found === undefined) return;
  if ("embedded" in found) answer.embedded = found.embedded;
  else answer.warnings = [...answer.warnings, { code: "embedded_not_read", reason: found.problem }];
}
