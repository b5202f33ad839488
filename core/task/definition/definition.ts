import type * as z from "zod";
import type { Rule } from "#core/canonical/checks/rule";

/** What a task's folder exports. The schema is a function, so that importing every task builds nothing. */
export interface Definition {
  description: string;
  prompt: string;
  schema: () => z.ZodType;
  examples: Example[];
  maxOutputTokens: number;
  /**
   * What the answer about one sheet usually takes; the picture may have what is left. A longer answer is asked for again
   * with a smaller picture. Default: `maxOutputTokens`.
   */
  usualOutputTokens?: number;
  /** Arithmetic over the fields (core/canonical/checks/checks.ts). */
  checks: Rule[];
  /**
   * Of a document of several pages (docs/documents.md): fields, or groups of them, of which the last page counts that has
   * them. Of other lists all pages count, of other fields the first page that has them.
   */
  lastPage: string[];
}

/** A receipt as text lines and the answer it must get. */
export interface Example {
  lines: string[];
  answer: unknown;
}

/** The examples as a prompt shows them: the lines, then the answer as the model must write it. */
export function shown(examples: readonly Example[]): string {
  return examples
    .map(({ lines, answer }) => `${lines.join("\n")}\nhas this answer:\n${JSON.stringify(answer)}`)
    .join("\n\n");
}
