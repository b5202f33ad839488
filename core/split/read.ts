import type * as Config from "#core/config";
import { type Performed, perform } from "#core/reading/reading";
import type { Work } from "#core/reading/work";

/** Reads a file as the caller wishes: as one document, or as those that it is. Never throws for a fault of either. */
export async function read(model: Config.Model, work: Work): Promise<Performed> {
  if (work.split !== "auto") return await perform(model, work);
  // Few calls wish it: no cold start pays for it.
  const { performApart } = await import("./split.ts");
  return await performApart(model, work);
}
