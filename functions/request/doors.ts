/*
 * The ways to send a body where a picture is expected, and what to type for each.
 */

export const asForm = "-F file=@photo.jpg";
export const asPicture = "--data-binary @photo.jpg -H 'Content-Type: image/jpeg'";
export const asJson = "-H 'Content-Type: application/json'";

/** The message for a missing body. */
export const missing = `the body is missing: send the picture (curl ${asForm}, or ${asPicture}), or JSON with image_base64, image_ref or image_url`;

/** By the same rule as the JSON parser. */
export const isJson = (contentType: string) =>
  /^application\/(?:[^;\s]+\+)?json\s*(?:;|$)/i.test(contentType);

export const isForm = (contentType: string) => /^multipart\/form-data\s*(?:;|$)/i.test(contentType);

/**
 * The first line of a form and the header after it. With a Content-Type of another kind curl writes `attachment` there.
 */
export const beginsForm = (head: string) => /^--[^\r\n]+\r\ncontent-disposition:/i.test(head);

/** What a body that was sent as JSON really is, and what to type instead; undefined if it may be broken JSON. */
export function notJson(text: string): string | undefined {
  const head = text.slice(0, 512);
  if (beginsForm(head))
    return `this is a form, sent as JSON: leave ${asJson} out, curl -F says what it sends`;
  // Bytes that are not UTF-8 were already replaced.
  if (/^(?:\ufffd{3}|\ufffdPNG|GIF8|RIFF|II\*|MM\0|%PDF-)/.test(head))
    return `this is a file, sent as JSON: curl ${asPicture}`;
  return undefined;
}
