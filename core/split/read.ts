import type * as Config from "#core/config";
import { type Performed, perform } from "#core/reading/reading";
import type { Work } from "#core/reading/work";
import { performApart } from "./split.ts";

/**
 * Reads a file as the caller asked: as one document, or as the documents that it contains. Never throws for a fault of
 * either.
 * @throws Steps.Overtaken if another worker goes on with the document.
 */
export const read = (model: Config.Model, work: Work): Promise<Performed> =>
  work.split === "auto" ? performApart(model, work) : perform(model, work);
