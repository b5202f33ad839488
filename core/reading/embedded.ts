import * as Document from "#core/document/document";
import { from } from "#core/error";
import type { Extract } from "./schema.ts";
import type { Work } from "./work.ts";

type Answer = Pick<Extract, "embedded" | "warnings">;

/**
 * Adds the e-invoice that the document carries to an answer, or a warning that it cannot be read. Whatever keeps it from
 * being looked for (a deadline, a decoder that was killed) leaves the answer as it is: it is an addition.
 */
export async function note(answer: Answer, { document, signal, log }: Work): Promise<void> {
  try {
    const found = await Document.embedded(document, { signal });
    if (found === undefined) return;
    if ("embedded" in found) answer.embedded = found.embedded;
    else answer.warnings = [...answer.warnings, { code: "embedded_not_read", reason: found.problem }];
  } catch (thrown) {
    log.info("embedded_not_looked_for", { code: from(thrown).code });
  }
}
