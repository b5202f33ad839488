import * as z from "zod";
import * as Page from "#functions/docs-page/page";
import { operation, publicApi } from "#functions/http";

/** The document of the version that runs; loaded when it is asked for, so that it can be made without being there. */
const load = async () => (await import("../../docs/openapi.json", { with: { type: "json" } })).default;

let page: string | undefined;

/** Both change with a deploy only. */
const cache = { "Cache-Control": "public, max-age=300" };

export const operations = {
  "GET /openapi.json": operation({
    summary: "This document",
    description: "OpenAPI 3.1, made from the schemas that calls are checked against.",
    responses: { 200: { description: "OpenAPI 3.1", schema: z.looseObject({ openapi: z.string() }) } },
    run: async () => ({ status: 200, body: await load(), headers: cache }),
  }),
  "GET /docs": operation({
    summary: "This document as a page",
    description: "One page without scripts; it loads nothing from outside.",
    responses: { 200: { description: "HTML", schema: z.string(), contentType: "text/html; charset=utf-8" } },
    run: async () => {
      page ??= Page.render((await load()) as unknown as Page.OpenApi);
      return {
        status: 200,
        body: page,
        contentType: "text/html; charset=utf-8",
        headers: {
          ...cache,
          "Content-Security-Policy": Page.policy,
          // The middleware's long list names features that browsers do not know and complain about.
          "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        },
      };
    },
  }),
};

export const handler = publicApi(operations);
