/** The common parts of every page: its head, and the navigation bar. */

import { type Html, html } from "#core/html";
import * as Guides from "#functions/docs-page/guides";
import type { Heading, Rendered } from "./markdown.ts";

/** Addresses of what the pages load; each holds a hash of the content. */
export interface Assets {
  readonly style: string;
  readonly script: string;
  readonly viewer: string;
}

/** A page's name → its title in the navigation bar. */
export type Titles = ReadonlyMap<string, string>;

/** `/docs/NAME`; the reference has the short address. */
export const pathOf = (name: string) => (name === Guides.reference ? "/docs" : `/docs/${name}`);

interface Page {
  readonly name: string;
  readonly title: string;
  readonly summary: string;
  readonly body: Html;
  readonly scripts: readonly string[];
}

/** A whole document. */
export function page({ name, title, summary, body, scripts }: Page, assets: Assets, titles: Titles): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="description" content="${summary}">
<title>${title} · OCRlty</title>
<link rel="icon" href="data:,">
<link rel="alternate" type="text/markdown" href="/docs/${name}.md">
<link rel="stylesheet" href="${assets.style}">
</head>
<body class="${name === Guides.reference ? "reference" : "guide"}">
<header class="bar"><a class="brand" href="/docs">OCRlty</a>
<nav aria-label="Pages">${[...titles].map(([other, text]) => html`<a href="${pathOf(other)}"${other === name ? html` aria-current="page"` : undefined}>${text}</a>`)}</nav></header>
${body}
${scripts.map((source) => html`<script src="${source}" defer></script>\n`)}</body>
</html>
`.text;
}

/** A guide: its text, its table of contents, and the link to the next one. */
export function guide(
  name: string,
  { title, summary, headings, body }: Rendered,
  assets: Assets,
  titles: Titles,
) {
  const order = [...titles.keys()];
  const at = order.indexOf(name);
  const near = (other: string | undefined, rel: "prev" | "next", label: string) =>
    other === undefined
      ? undefined
      : html`<a rel="${rel}" href="${pathOf(other)}"><span>${label}</span>${titles.get(other)}</a>`;
  return page(
    {
      name,
      title,
      summary,
      scripts: [assets.script],
      body: html`<div class="columns"><main>
${body}
<footer><div class="near">${near(order[at - 1], "prev", "Previous")}${near(order[at + 1], "next", "Next")}</div>
<p><a href="/docs/${name}.md">This page as Markdown</a> · <a href="/llms.txt">All pages, for a language model</a></p></footer>
</main>${contents(headings)}</div>`,
    },
    assets,
    titles,
  );
}

function contents(headings: readonly Heading[]): Html | undefined {
  const shown = headings.filter(({ depth }) => depth === 2 || depth === 3);
  if (shown.length < 2) return undefined;
  return html`<nav class="contents" aria-label="On this page"><h2>On this page</h2><ul>${shown.map(
    ({ depth, text, anchor }) => html`<li class="depth-${depth}"><a href="#${anchor}">${text}</a></li>`,
  )}</ul></nav>`;
}
