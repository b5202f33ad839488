/**
 * The pages beside the reference, in the order of the navigation, with what they are called there. Each is
 * `docs/NAME.md`, is made into a page by local/pages, and answered at `/docs/NAME` and, as Markdown, at `/docs/NAME.md`.
 * A new page is a new line here.
 */
export const guides: Readonly<Record<string, string>> = {
  quickstart: "Quickstart",
  "large-files": "Large files",
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

/** What `/docs` shows, by its name among the pages. */
export const reference = "reference";

/** Every name behind `/docs/`. */
export const names: readonly string[] = [...Object.keys(guides), reference];
