/** Where what `/docs` is made of lies, beside the bundle: infra/pages.ts and local/bundle/bundle.ts put it there. */
export const folder = "pages";
