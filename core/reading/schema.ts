import * as z from "zod";
import * as Schema from "#core/canonical/schema";
import type { Embedded } from "#core/einvoice/schema";
import { codes } from "#core/error";
import type { ErrorDetails } from "#core/error-details";
import * as Id from "#core/id";
import * as Debug from "#core/task/debug";
import type { Tile } from "./long-paper/tile.ts";
import { Pages, Split } from "./page-numbers.ts";
import { Quality } from "./quality.ts";
import type { Rows } from "./rows/schema.ts";
import { Warnings } from "./warning.ts";

/** The fields by which a call can give a picture. */
const pictures = ["image_base64", "image_ref", "image_url"] as const;

/** Readers of PDF use the first 127 bytes of a password at most (ISO 32000-2, 7.6.4.3.3). */
const mostPassword = 200;

/** The body of `POST /v1/extract`. */
export const ExtractRequest = z
  .strictObject({
    task_id: z
      .string()
      .min(1)
      .max(100)
      .default("receipt_fields_v1")
      .meta({ description: "Which task to run (`GET /v1/tasks`)." }),
    image_base64: z.string().min(1).optional().meta({
      description:
        "The picture as base64 or as a data URL, at most 4 MiB decoded. JPEG, PNG, HEIC, AVIF, WebP, TIFF, GIF, PDF; all pages of a PDF or TIFF are read, of several frames the first, and `warnings` says so. Exactly one of image_base64, image_ref and image_url is needed.",
    }),
    image_ref: z
      .string()
      .min(1)
      .max(100)
      .optional()
      // Checked elsewhere: an invalid form is an unknown upload.
      .meta({
        pattern: Id.uploadRefPattern.source,
        description:
          "What `POST /v1/uploads` returned: a picture of up to 20 MiB, or a PDF of up to 50 MiB, in the bucket.",
      }),
    image_url: z.string().min(1).max(8192).optional().meta({
      description:
        "A picture on the public internet: http or https on the scheme's own port, at most 20 MiB within 10 s and three redirects. Needs `DEBUG_MODE=1` and the scope debug:run.",
    }),
    pages: Pages.optional(),
    password: z
      .string()
      .min(1)
      .max(mostPassword)
      .refine((text) => !text.includes("\0"), "must not contain the character NUL")
      .optional()
      .meta({
        format: "password",
        writeOnly: true,
        description:
          "Opens an encrypted PDF. It is used for this call alone: neither stored nor logged, in no hash, and no part of the call's identity. So it goes with calls that wait for their answer; a call with it is never handed over to the queue.",
      }),
    split: Split.optional(),
    mime_type: z
      .string()
      .min(1)
      .max(100)
      .optional()
      .meta({ description: "A hint that is kept; the bytes decide." }),
    look: z.boolean().optional().meta({
      description:
        "False: the picture is not looked at before it is sent. It is sent as EXIF turns it, and `quality` is null. Default: as the stage is set (`LOOK`, on).",
    }),
    // Checked elsewhere, because an invalid form has its own error code.
    request_id: z.string().optional().meta({
      pattern: Id.requestIdPattern.source,
      description:
        "Your id of this extract. The same id and payload give the same answer. `backup.tar.gz` is taken.",
    }),
    debug: Debug.Debug.optional(),
  })
  .superRefine((request, context) => {
    const given = pictures.filter((name) => request[name] !== undefined);
    if (given.length === 1) return;
    const message = `exactly one of ${pictures.join(", ")} is needed${given.length > 1 ? `, and ${given.length} came` : ""}`;
    // If none is given, the mistake is reported at the first field, so that a form can show it.
    for (const name of given.length === 0 ? pictures.slice(0, 1) : given) {
      context.addIssue({ code: "custom", path: [name], message });
    }
  })
  .meta({ id: "ExtractRequest", oneOf: pictures.map((name) => ({ required: [name] })) });
export type ExtractRequest = z.output<typeof ExtractRequest>;

export const Usage = z
  .object({
    prompt_tokens: z.int(),
    completion_tokens: z.int(),
    attempts: z.int().meta({ description: "How many times the model was asked." }),
  })
  .meta({ id: "Usage" });

export const StoredError = z
  .object({
    code: z.enum(Object.keys(codes) as [keyof typeof codes]),
    message: z.string(),
    // Only its type: no function needs the whole schema (3 KB), which the document puts here (scripts/openapi).
    details: (z.record(z.string(), z.unknown()) as unknown as z.ZodType<ErrorDetails>).optional(),
  })
  .meta({ id: "StoredError", description: "Why an extract failed; the codes are those of error answers." });

/** One of several documents in a file: what a single extract has of its own (scripts/openapi/split.ts). */
export interface PartAnswer {
  /** From 1. */
  pages: number[];
  /** For a receipt that was cut out of its page: its box, as shares of the upright page. */
  box?: { x: number; y: number; width: number; height: number } | undefined;
  status: "succeeded" | "failed";
  result: Record<string, unknown> | null;
  complete?: boolean | null | undefined;
  rows?: Rows | undefined;
  schema_ok: boolean | null;
  schema_errors: { path: string; message: string }[];
  normalized: z.output<typeof Schema.Normalized>;
  checks: z.output<typeof Schema.Check>[];
  warnings: z.output<typeof Warnings>;
  quality?: z.output<typeof Quality> | null | undefined;
  embedded?: Embedded | undefined;
  usage: z.output<typeof Usage>;
  error?: z.output<typeof StoredError> | undefined;
}

/** The answer of `POST /v1/extract` and `GET /v1/extracts/{request_id}`. */
export const Extract = z
  .object({
    request_id: z.string(),
    task_id: z.string(),
    created_at: z.iso.datetime(),
    status: z.enum(["succeeded", "failed"]),
    result: z
      .record(z.string(), z.unknown())
      .nullable()
      .meta({ description: "The task's fields, strings exactly as printed." }),
    // Its type alone, as `details` above.
    documents: (z.array(z.unknown()) as unknown as z.ZodType<PartAnswer[]>).optional(),
    complete: z.boolean().nullable().optional(),
    // Its type alone, as `details` above.
    rows: (z.record(z.string(), z.unknown()) as unknown as z.ZodType<Rows>).optional(),
    schema_ok: z
      .boolean()
      .nullable()
      .meta({ description: "Null if there is no whole answer to check against the schema." }),
    schema_errors: z.array(z.object({ path: z.string(), message: z.string() })),
    normalized: Schema.Normalized,
    checks: z.array(Schema.Check),
    warnings: Warnings,
    quality: Quality.nullable().optional().meta({
      description:
        "Null where the picture was not looked at (`look: false`, `LOOK=off`); older answers have none.",
    }),
    // Its type alone, as `details` above.
    embedded: (z.record(z.string(), z.unknown()) as unknown as z.ZodType<Embedded>).optional(),
    model: z
      .string()
      .nullable()
      .meta({ description: "Null, like the hashes, for a failure before the model was asked." }),
    prompt_sha256: z.string().nullable(),
    schema_sha256: z.string().nullable(),
    image_sha256: z.string().nullable(),
    usage: Usage,
    timings_ms: z.object({ total: z.int(), image: z.int(), inference: z.int(), validate: z.int() }),
    artifact_rel: z.string().nullable().meta({ description: "Where the artifact lies, without S3_PREFIX." }),
    error: StoredError.optional(),
    raw: z
      .string()
      .nullable()
      .optional()
      .meta({ description: "The model's text as it came; only with the scope debug:read_raw." }),
  })
  .meta({ id: "Extract" });
export type Extract = z.output<typeof Extract>;

/** The model's part of an answer, for work that ended without the model being asked. */
export const askedNobody = {
  result: null,
  schema_ok: null,
  schema_errors: [],
  normalized: {},
  checks: [],
  warnings: [],
  model: null,
  prompt_sha256: null,
  schema_sha256: null,
  image_sha256: null,
  usage: { prompt_tokens: 0, completion_tokens: 0, attempts: 0 },
} satisfies Partial<Extract>;

/** The answer while the extract is in line or being worked on. */
export const Running = z
  .object({ request_id: z.string(), status: z.literal("running"), poll_url: z.string() })
  .meta({ id: "Running" });
export type Running = z.output<typeof Running>;

/** A page that was read, as stored. */
export interface PageSize {
  page: number;
  width: number;
  height: number;
  unit: "pixels" | "points";
}

/** A picture as the model server got it. */
export interface Sent {
  /** Null for a picture that was not read here. */
  sha256: string | null;
  width: number;
  height: number;
  mime_type: string;
  bytes: number;
  /** Clockwise degrees by which it was turned beyond EXIF; missing in older artifacts. */
  turned?: number;
  /** The server fetched it from the bucket by itself. */
  by?: "url";
}

/** The words of a document's text layers: evidence beside the answer, never a part of it. */
export interface TextLayer {
  /** `words`: `x y width height text`, the box in parts of the page as it is seen, from its top left corner. */
  pages: { page: number; words: string[] }[];
  /** True if there was no room for all words. */
  cut: boolean;
}

/** One call about some pages of a document. */
export interface CallRecord {
  /** From 1 on. */
  call: number;
  pages: number[];
  raw_model_text: string | null;
  finish_reason: string | null;
  /** For a call about a part of a long page. */
  tile?: Tile;
  /** For an answer that continues one that used up its tokens: the number of rows of the list before it. */
  after_row?: number;
  /**
   * True if the call's answer does not count: it was too long, or did not continue the rows before it, and was asked
   * for again.
   */
  repeated?: true;
}

/** One of several documents in a file, with the record of its calls. */
export type StoredPart = PartAnswer &
  Pick<Artifact, "sent" | "sent_pages" | "calls" | "text_layer" | "raw_model_text" | "finish_reason">;

/**
 * The artifact in the bucket: the answer, how it came about, and what is needed to compute it again from
 * `raw_model_text`. Never image bytes or secrets.
 */
export interface Artifact extends Omit<Extract, "documents"> {
  /** For a file of several documents: each with what is needed to compute it again. */
  documents?: StoredPart[];
  /** The item of a run. An existing artifact counts only if all of these match. */
  run?: { run_id: string; run_uid: string; index: number };
  /** The run keeps a copy of the picture of its own. */
  kept?: boolean;
  /** sha256 over what determines the answer; an artifact with another hash belongs to another call. */
  payload_hash: string;
  /** Null if the picture could not be read at all. */
  input: {
    source: "inline" | "upload" | "url" | "data" | "run";
    /** Of an upload. */
    image_ref?: string;
    mime_type: string;
    declared_mime_type: string | null;
    bytes: number;
    /** Null for a picture that was not read here, and whose sha256 the bucket does not know. */
    sha256: string | null;
    /** The object's version that was judged, of a picture that was sent by URL. */
    etag?: string;
    width: number;
    height: number;
    pages: number;
    /**
     * The kind of the input: a picture, or a document whose pages are drawn. Missing in older artifacts, like
     * `page_sizes`.
     */
    kind?: "picture" | "pdf";
    /** The sizes of the pages that were read, as stored: in pixels, or in points (1/72 inch) if the page is drawn. */
    page_sizes?: PageSize[];
  } | null;
  /** The picture that was sent; null if none was, and for a document of several pages. */
  sent: Sent | null;
  /** For several pages, or a page in tiles: the picture of each, and its call. `tile`: the part's number. */
  sent_pages?: (Sent & { page: number; tile?: number; call: number })[];
  /**
   * For several pages, and for an answer that was continued: each call's text. `raw_model_text` has all of them, one
   * after the other.
   */
  calls?: CallRecord[];
  /** For pages that are drawn and have words. */
  text_layer?: TextLayer;
  /** The file's text that the model got beside the pictures of a call, because words are not drawn on them. */
  file_texts?: { call: number; text: string }[];
  /** Null when the model was not asked. */
  request: {
    temperature: number;
    max_tokens: number;
    response_format: "json_schema" | "structured_outputs" | "none";
    seed: number;
    debug?: Debug.Debug;
  } | null;
  raw_model_text: string | null;
  finish_reason: string | null;
  attempts: readonly unknown[];
  principal: { key_id: string; role: string };
  code_version: string;
  /** The rules by which `normalized` and `checks` were computed; missing in older artifacts. */
  rules_version?: string;
}
