import { AppError } from "#core/error";
import { sizes } from "#spec/limits";

/*
 * The 413s for sent or named content. Each says what to do instead, in `details.recipe` as steps: "too large" alone
 * does not help.
 */

const mebibytes = (bytes: number) => `${Math.round(bytes / 1024 / 102.4) / 10} MiB`;

/** The size and the limit in words that differ: at the limit and one byte above both would be 4 MiB. */
function sizesOf(bytes: number, limit: number): { has: string; may: string } {
  const [has, may] = [mebibytes(bytes), mebibytes(limit)];
  const exact = (each: number) => `${each.toLocaleString("en")} bytes`;
  return has === may ? { has: exact(bytes), may: exact(limit) } : { has, may };
}

/** The three steps for a picture of any size up to the limit of uploads. */
const recipe = (bytes: number | undefined, last: string): readonly string[] => [
  `POST /v1/uploads with bytes: ${bytes ?? "the picture's exact size"} (and file: its path) answers image_ref, upload_url, headers, and the PUT as a curl line`,
  "PUT the picture's bytes to upload_url with those headers",
  last,
];

const details = (limitBytes: number, bytes: number | undefined, steps: readonly string[]) => ({
  details: { limit_bytes: limitBytes, ...(bytes === undefined ? {} : { bytes }), recipe: [...steps] },
});

/** The file is too large for this route; another route accepts it. */
const refused = (message: string, ...about: Parameters<typeof details>) =>
  new AppError("payload_too_large", message, details(...about));

/** The file is too large for every route. */
const imageRefused = (message: string, ...about: Parameters<typeof details>) =>
  new AppError("image_too_large", message, details(...about));

const isOfPdf = (limit: number) => limit === sizes.uploadPdfBytes;

/** A picture within a call, or its form: the platform's limit is 6 MB, including base64. */
export function inline(bytes: number, what: "picture" | "form" = "picture"): AppError {
  const limit = sizes.inlineImageBytes;
  const { has, may } = sizesOf(bytes, limit);
  return refused(
    `the ${what} has ${has} and a call carries ${may}: upload the picture with POST /v1/uploads, up to ${mebibytes(sizes.uploadImageBytes)}, and send its image_ref`,
    limit,
    bytes,
    recipe(
      what === "picture" ? bytes : undefined,
      "POST /v1/extract with that image_ref instead of the picture",
    ),
  );
}

/** A form with the pictures of a batch. */
export function batchForm(bytes: number): AppError {
  const limit = sizes.inlineImageBytes;
  const { has, may } = sizesOf(bytes, limit);
  return refused(
    `the form has ${has} and a call carries ${may}: upload each picture with POST /v1/uploads and name them in the manifest of POST /v1/batch_extract (npm run ocrlty -- batch FOLDER does all of it)`,
    limit,
    bytes,
    recipe(
      undefined,
      "POST /v1/batch_extract with manifest: [{image_ref}, …], or several forms of fewer pictures",
    ),
  );
}

/** An upload that is announced. */
export function upload(
  bytes: number,
  kind: "image" | "manifest" | "data" | "ground_truth",
  limit: number,
): AppError {
  const { has, may } = sizesOf(bytes, limit);
  if (kind === "manifest")
    return refused(`the manifest has ${has} and may have ${may}: split it into several runs`, limit, bytes, [
      "split the manifest by lines",
      "upload each part with POST /v1/uploads",
      "POST /v1/batch_extract for each",
    ]);
  if (kind === "ground_truth")
    return refused(
      `the ground truth has ${has} and may have ${may}: pack it with gzip, or split it`,
      limit,
      bytes,
      ["split the records over several ground truths", "POST /v1/ground_truths for each, and a run for each"],
    );
  if (isOfPdf(limit))
    return imageRefused(`the PDF has ${has} and may have ${may}: send it in parts`, limit, bytes, parts);
  return imageRefused(
    `the picture has ${has} and may have ${may}: save it as JPEG, or scale it down (a PDF may have ${mebibytes(sizes.uploadPdfBytes)}, announced with mime_type application/pdf)`,
    limit,
    bytes,
    smaller,
  );
}

/** The content at `image_url`. */
export function remote(limit: number, bytes: number | undefined): AppError {
  const has = bytes === undefined ? "more" : mebibytes(bytes);
  return imageRefused(
    `the picture behind image_url has ${has}, and ${mebibytes(limit)} are fetched: fetch it yourself and upload it with POST /v1/uploads, up to ${mebibytes(sizes.uploadImageBytes)} for a picture and ${mebibytes(sizes.uploadPdfBytes)} for a PDF`,
    limit,
    bytes,
    recipe(bytes, "send its image_ref in the place of image_url"),
  );
}

/** A picture or PDF that is already in the bucket. */
export function stored(limit: number): AppError {
  if (isOfPdf(limit))
    return imageRefused(
      `the PDF in the bucket is larger than the ${mebibytes(limit)} that are read: send it in parts`,
      limit,
      undefined,
      parts,
    );
  return imageRefused(
    `the object in the bucket is larger than the ${mebibytes(limit)} that are read of a picture: save it as JPEG, or scale it down, and upload it again`,
    limit,
    undefined,
    smaller,
  );
}

const parts = [
  "split the PDF by pages, or save it with its pictures as JPEG",
  "send each part as an extract or an item of its own",
];

/** A receipt's picture stays readable at this size. */
const smaller = [
  "scale the picture to 3,000 pixels on its longer side, as JPEG of quality 85",
  "npm run extract -- FILE does it by itself",
];
