import * as z from "zod";
import * as Guides from "#functions/docs-page/guides";
import * as Page from "#functions/docs-page/page";
import { publicApi } from "#functions/http";
import { operation } from "#functions/request/operation";

const page = {
  description: "HTML, or Markdown with `Accept: text/markdown` or with `.md` at the end of the address",
  schema: z.string(),
  contentType: Page.html,
  others: { "text/markdown": z.string() },
};

export const operations = {
  "GET /openapi.json": operation({
    summary: "This document",
    description: "OpenAPI 3.1, generated from the schemas that validate the calls.",
    responses: { 200: { description: "OpenAPI 3.1", schema: z.looseObject({ openapi: z.string() }) } },
    run: ({ call }) => Page.file("openapi.json", "application/json; charset=utf-8", call),
  }),
  "GET /llms.txt": operation({
    summary: "The list of pages, for language models",
    description: "Every page with a one-line description, in the format of llmstxt.org.",
    responses: {
      200: { description: "Markdown", schema: z.string(), contentType: "text/plain; charset=utf-8" },
    },
    run: ({ call }) => Page.file("llms.txt", "text/plain; charset=utf-8", call),
  }),
  "GET /docs": operation({
    summary: "This document as a page",
    description:
      "With search, samples in three languages, and a form to try each call with a key. It loads nothing from other hosts.",
    responses: { 200: page },
    run: ({ call }) => Page.show(Guides.reference, call),
  }),
  "GET /docs/{page}": operation({
    summary: "A guide",
    description: `There are ${Guides.names.map((name) => `\`${name}\``).join(", ")}.`,
    params: z.object({ page: z.string().meta({ description: "Its name, or its name and `.md`." }) }),
    responses: { 200: page },
    run: ({ params, call }) => Page.show(params.page, call),
  }),
  "GET /docs/assets/{asset}": operation({
    summary: "A script or style sheet of the pages",
    description: "A name contains a hash of the content, so an answer may be cached forever.",
    params: z.object({ asset: z.string().meta({ description: "The name of a file of the page." }) }),
    responses: {
      200: {
        description: "A script or a style sheet",
        schema: z.string(),
        contentType: "text/javascript; charset=utf-8",
        others: { "text/css": z.string() },
      },
    },
    run: ({ params, call }) => Page.asset(params.asset, call),
  }),
};

export const handler = publicApi(operations);
