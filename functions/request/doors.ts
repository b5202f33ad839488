/*
 * How a body may come in where a picture is expected, and what to type for each.
 */

export const asForm = "-F file=@photo.jpg";
export const asPicture = "--data-binary @photo.jpg -H 'Content-Type: image/jpeg'";
export const asJson = "-H 'Content-Type: application/json'";

/** Of a body that is not there. */
export const missing = `the body is missing: send the picture (curl ${asForm}, or ${asPicture}), or JSON with image_base64, image_ref or image_url`;

/** As the JSON parser takes it. */
export const isJson = (contentType: string) =>
  /^application\/(?:[^;\s]+\+)?json\s*(?:;|$)/i.test(contentType);

export const isForm = (contentType: string) => /^multipart\/form-data\s*(?:;|$)/i.test(contentType);

/** The first line of a form and the header behind it; under another type than its own curl says `attachment` there. */
export const beginsForm = (head: string) => /^--[^\r\n]+\r\ncontent-disposition:/i.test(head);

/** What a body that was sent as JSON really is, with what to type; undefined where it may well be broken JSON. */
export function notJson(text: string): string | undefined {
  const head = text.slice(0, 512);
  if (beginsForm(head))
    return `this is a form, sent as JSON: leave ${asJson} out, curl -F says what it sends`;
  // Bytes that are no UTF-8 were replaced on the way.
  if (/^(?:\ufffd{3}|\ufffdPNG|GIF8|RIFF|II\*|MM\0|%PDF-)/.test(head))
    return `this is a file, sent as JSON: curl ${asPicture}`;
  return undefined;
}
