/**
 * The folder beside the bundle that holds the files of `/docs`; infra/pages.ts and local/bundle/bundle.ts write them.
 */
export const folder = "pages";
