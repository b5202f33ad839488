import * as z from "zod";
import { AppError, type Issue, invalidRequest } from "#core/error";
import type { Given } from "#core/extraction/extraction";
import * as Type from "#core/image/type";
import { ExtractRequest } from "#core/reading/schema";
import { shownName } from "#core/shown-name";
import * as TooLarge from "#core/upload/too-large";
import { checked } from "#functions/request/checked";
import type { Doors as BodyDoors, RawBody } from "#functions/request/operation";
import { sizes } from "#spec/limits";
import { mimeTypes } from "#spec/pictures";
import * as Doors from "./doors.ts";
import { asForm, asJson, asPicture } from "./doors.ts";
import * as TextValues from "./text-values.ts";

/*
 * The body formats of POST /v1/extract: JSON, a form with a `file`, the picture itself. All become the same request, so
 * a repeat in another format is the same call.
 */

const { image_base64, image_ref, image_url, password, ...options } = ExtractRequest.shape;

/**
 * The fields beside the picture, as query parameters. Every body format allows them; each field may be in one place
 * only. The password of a PDF is none of them: addresses are logged on their way.
 */
export const ExtractQuery = z.strictObject(
  Object.fromEntries(
    Object.keys(options).map((name) => [
      name,
      z
        .string()
        .min(1, "is empty: leave it out for its default")
        .optional()
        .meta({
          description: `As \`${name}\` of the JSON body${name === "debug" ? ", as JSON" : ""}.`,
          ...(name === "debug" ? { contentMediaType: "application/json" } : {}),
        }),
    ]),
  ),
);

/** The form as OpenAPI describes it; its required fields are checked below. */
const ExtractForm = z
  .strictObject({
    file: z
      .string()
      .meta({
        format: "binary",
        description: `The picture, at most ${sizes.inlineImageBytes} bytes. Exactly one of file, image_ref and image_url is needed.`,
      })
      .optional(),
    image_ref,
    image_url,
    password,
    ...options,
  })
  .meta({ id: "ExtractForm" });

/** Only the picture. */
const Picture = z.string().meta({
  id: "Picture",
  format: "binary",
  description: `A picture of at most ${sizes.inlineImageBytes} bytes.`,
});

/** The body formats, for the operation. */
export const doors: BodyDoors = {
  types: {
    "multipart/form-data": ExtractForm,
    ...Object.fromEntries([...mimeTypes, "application/octet-stream"].map((type) => [type, Picture])),
  },
  missing: Doors.missing,
  isJson: Doors.isJson,
  notJson: Doors.notJson,
};

const formFields = { image_ref, image_url, password, ...options };
const FormRequest = z.strictObject(formFields);

/**
 * The request of a call, in any body format.
 * @param body - the parsed JSON if JSON was sent; otherwise `raw` has the bytes.
 * @throws AppError `invalid_request`, `unsupported_media_type`, `payload_too_large`; each says what to send instead.
 */
export async function read(
  query: Record<string, string | undefined>,
  body: unknown,
  raw: RawBody,
): Promise<Given> {
  const fromQuery = TextValues.read(options, entriesOf(query));
  const { contentType = "" } = raw;
  if (Doors.isJson(contentType)) return ofJson(fromQuery, body);
  if (Doors.isForm(contentType)) return ofForm(fromQuery, raw);
  return { ...(await checked(FormRequest, fromQuery)), image: pictureOf(raw) };
}

const entriesOf = (query: Record<string, string | undefined>) =>
  Object.entries(query).flatMap(([name, text]) => (text === undefined ? [] : [[name, text] as const]));

async function ofJson(fromQuery: Record<string, unknown>, body: unknown): Promise<Given> {
  const isObject = typeof body === "object" && body !== null && !Array.isArray(body);
  if (isObject) once(fromQuery, (name) => Object.hasOwn(body, name), "body");
  return checked(ExtractRequest, isObject ? { ...fromQuery, ...body } : body);
}

async function ofForm(fromQuery: Record<string, unknown>, raw: RawBody): Promise<Given> {
  const Multipart = await import("./multipart.ts");
  const form = await Multipart.parse(raw, {
    // Headers of parts and other fields come in addition to the picture.
    bytes: sizes.inlineImageBytes + formOverheadBytes,
    tooLarge: (size) => TooLarge.inline(size, "form"),
    files: filesMost,
    advice: manyPictures,
  });
  const issues: Issue[] = [];
  const texts: [string, string][] = [];
  for (const [name, values] of form.fields) {
    if (name === "file")
      issues.push({
        path: name,
        message: `is text, not a file: with curl ${asForm} (an @, not a <, and no space)`,
      });
    else if (name === "image_base64")
      issues.push({ path: name, message: `is for JSON; a form sends the picture itself: ${asForm}` });
    else if (values.length > 1) issues.push({ path: shownName(name), message: "is there more than once" });
    // A form sends an empty text for an input that was left empty.
    else if (values[0] !== "") texts.push([name, values[0] ?? ""]);
  }
  const elsewhere = form.files.filter(({ field }) => field !== "file");
  for (const { field } of elsewhere.slice(0, 1))
    issues.push({ path: shownName(field), message: `the picture goes into the field named file: ${asForm}` });
  const files = form.files.filter(({ field }) => field === "file");
  if (files.length > 1)
    issues.push({ path: "file", message: `exactly one picture is needed: ${manyPictures}` });
  if (issues.length > 0) throw invalidRequest(issues);
  const fromForm = TextValues.read(formFields, texts);
  once(fromQuery, (name) => Object.hasOwn(fromForm, name), "form");
  const request = await checked(FormRequest, { ...fromQuery, ...fromForm });
  const [file] = files;
  const given = [file, request.image_ref, request.image_url].filter((one) => one !== undefined);
  if (given.length !== 1)
    throw invalidRequest([
      { path: "file", message: `exactly one of file, image_ref and image_url is needed: curl ${asForm}` },
    ]);
  if (file === undefined) return request;
  return { ...request, image: judged(file.bytes, file.mimeType, "file") };
}

/** The most bytes of a form apart from its picture. */
const formOverheadBytes = 128 * 1024;
/** Enough to find that there are too many. */
const filesMost = 20;
const manyPictures = "send many with POST /v1/batch_extract_upload (-F files=@a.jpg -F files=@b.jpg)";

/** A field in two places is a mistake, even if both have the same value. */
function once(fromQuery: Record<string, unknown>, isThere: (name: string) => boolean, where: string): void {
  const twice = Object.keys(fromQuery).filter(isThere);
  if (twice.length > 0)
    throw invalidRequest(
      twice.map((path) => ({ path, message: `is in the query and in the ${where}: say it once` })),
    );
}

/** The body itself as the picture. The errors name the options of curl that lead to them. */
function pictureOf({ contentType = "", bytes }: RawBody): NonNullable<Given["image"]> {
  const type = contentType.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (bytes.length === 0) throw invalidRequest([{ path: "", message: Doors.missing }]);
  const seen = Type.sniff(bytes);
  const isOurs =
    type === "" || /^(?:image\/.+|(?:application|binary)\/octet-stream|application\/pdf)$/.test(type);
  if (seen === undefined) {
    const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 512)).toString("latin1");
    // RTF also begins with a brace.
    if (/^\s*(?:\{\s*(?:"|\}|$)|\[)/.test(head)) throw otherType(`this is JSON: add ${asJson}`);
    if (Doors.beginsForm(head))
      throw otherType("this is a form: leave -H 'Content-Type: …' out, curl -F says what it sends");
    if (!isOurs)
      throw otherType(
        `a picture is sent as it is: curl ${asPicture}; as a form: curl ${asForm}; as JSON: ${asJson}`,
      );
  }
  return judged(bytes, isOurs ? type : undefined, "");
}

/** The types that the API documents. */
const expected = ["application/json", "multipart/form-data", ...mimeTypes, "application/octet-stream"];
const otherType = (message: string) =>
  new AppError("unsupported_media_type", message, { details: { expected } });

/**
 * A picture's bytes and their stated type. Only their completeness is checked here.
 * @param path - of the field, in errors.
 */
function judged(bytes: Uint8Array, type: string | undefined, path: string): NonNullable<Given["image"]> {
  if (bytes.length === 0) throw invalidRequest([{ path, message: "the file is empty" }]);
  if (bytes.length > sizes.inlineImageBytes) throw TooLarge.inline(bytes.length);
  // `curl -d @file` removes line ends and zero bytes, and every picture has some.
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 8)).toString("latin1");
  if (
    bytes.length >= 64 &&
    /^(?:\xff\xd8|\x89PNG|RIFF|GIF8|II\*|MM)/.test(head) &&
    ![0, 10, 13].some((byte) => bytes.includes(byte))
  )
    throw new AppError(
      "invalid_image",
      `the picture has lost its line ends and zero bytes, as curl -d does it: curl ${asPicture}`,
      { details: { reason: "damaged" } },
    );
  const isHint = type !== undefined && type !== "" && !type.endsWith("/octet-stream");
  return { bytes, declaredMimeType: isHint ? type : undefined };
}
