/** Deletes what was made before: an extract, the upload that it was read from, a picture below the data root. */
import * as z from "zod";
import type { Bench, Case } from "./case.ts";
import { idOf, mimeTypeOf, put, uploadOf, withoutUpload } from "./extracts.ts";

const withoutDelete = (bench: Bench) =>
  bench.scopes.includes("extracts:delete") ? undefined : "the key lacks extracts:delete";
const needs = (what: string) => (bench: Bench) =>
  bench.kept.has(what) ? undefined : "what comes before it failed";

const uploaded = (bench: Bench) => `${idOf(bench)}-upload`;
const path = (bench: Bench) => `${idOf(bench)}/receipt`;
const Announced = z.looseObject({ upload_url: z.string(), headers: z.record(z.string(), z.string()) });
const announced = (bench: Bench) => Announced.parse(bench.kept.get("data")?.json);

export const deletions: Case[] = [
  {
    name: "delete an extract",
    route: "DELETE /v1/extracts/{request_id}",
    skip: (bench) => withoutDelete(bench) ?? withoutUpload(bench),
    request: (bench) => ({ method: "DELETE", path: `/v1/extracts/${uploaded(bench)}` }),
    wants: { status: 200, body: z.looseObject({ deleted: z.looseObject({ extracts: z.literal(1) }) }) },
    keep: (answer, bench) => bench.kept.set("deleted extract", answer),
  },
  {
    name: "a deleted extract",
    route: "GET /v1/extracts/{request_id}",
    skip: needs("deleted extract"),
    request: (bench) => ({ path: `/v1/extracts/${uploaded(bench)}` }),
    wants: { status: 404, code: "not_found" },
  },
  {
    name: "a deleted extract's id stays taken",
    route: "POST /v1/extract",
    skip: needs("deleted extract"),
    request: (bench) => ({
      method: "POST",
      path: "/v1/extract",
      body: { request_id: uploaded(bench), image_ref: uploadOf(bench).image_ref },
    }),
    wants: { status: 409, code: "conflict" },
  },
  {
    name: "delete an upload",
    route: "DELETE /v1/uploads/{ref}",
    skip: (bench) => withoutDelete(bench) ?? withoutUpload(bench),
    request: (bench) => ({ method: "DELETE", path: `/v1/uploads/${uploadOf(bench).image_ref}` }),
    wants: { status: 200, body: z.looseObject({ deleted: z.looseObject({ inputs: z.literal(1) }) }) },
  },
  {
    name: "announce a picture below the data root",
    route: "POST /v1/uploads",
    skip: withoutDelete,
    request: (bench) => ({
      method: "POST",
      path: "/v1/uploads",
      body: { kind: "data", path: path(bench), mime_type: mimeTypeOf(bench), bytes: bench.picture.length },
    }),
    wants: { status: 201, body: Announced },
    keep: (answer, bench) => bench.kept.set("data", answer),
  },
  {
    name: "put it there",
    route: "POST /v1/uploads",
    skip: needs("data"),
    elsewhere: (bench) => announced(bench).upload_url,
    request: (bench) => put(bench, announced(bench).headers),
    wants: { status: 200 },
    keep: (answer, bench) => bench.kept.set("data put", answer),
  },
  {
    name: "delete a folder below the data root",
    route: "DELETE /v1/data",
    skip: needs("data put"),
    request: (bench) => ({ method: "DELETE", path: `/v1/data?path=${idOf(bench)}/` }),
    wants: {
      status: 200,
      body: z.looseObject({ deleted: z.looseObject({ inputs: z.literal(1) }), complete: z.literal(true) }),
    },
  },
  {
    name: "an unknown extract cannot be deleted",
    route: "DELETE /v1/extracts/{request_id}",
    skip: withoutDelete,
    request: (bench) => ({ method: "DELETE", path: `/v1/extracts/${idOf(bench)}-nobody` }),
    wants: { status: 404, code: "not_found" },
  },
];
