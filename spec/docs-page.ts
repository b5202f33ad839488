/** The folder beside the bundle with the files of `/docs`: infra/pages.ts and local/bundle/bundle.ts put them there. */
export const folder = "pages";
