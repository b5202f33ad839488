/**
 * The pages beside the reference, in the order of the navigation, with their titles there. local/pages makes each from
 * `docs/NAME.md`; it is served at `/docs/NAME` and, as Markdown, at `/docs/NAME.md`. A new page is a new line here.
 */
export const guides: Readonly<Record<string, string>> = {
  quickstart: "Quickstart",
  "large-files": "Large files",
  documents: "Documents",
  batches: "Batches",
  results: "Results",
  ledgers: "Ledgers",
  "ground-truth": "Ground truth",
  webhooks: "Webhooks",
  errors: "Errors",
  values: "Values",
  schemas: "Your own schema",
  cli: "Command line",
  versions: "Versions",
};

/** The name of the page that `/docs` shows. */
export const reference = "reference";

/** Every name behind `/docs/`. */
export const names: readonly string[] = [...Object.keys(guides), reference];
