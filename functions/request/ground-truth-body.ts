import type * as z from "zod";
import { invalidRequest } from "#core/error";
import * as Schema from "#core/ground-truth/schema";
import * as Wrong from "#core/ground-truth/wrong";

import { shownName } from "#core/shown-name";
import { checked } from "#functions/request/checked";

import * as RequestDoors from "#functions/request/doors";
import * as Multipart from "#functions/request/multipart";
import type { Doors, RawBody } from "#functions/request/operation";
import { sizes } from "#spec/limits";

/** The ways to send labels with the call. */
export const doors: Doors = {
  types: { "multipart/form-data": Schema.Form },
  missing:
    "the body is missing: send JSON with name and content, or a form (curl -F name=dev -F file=@labels.jsonl)",
  isJson: (contentType) => !RequestDoors.isForm(contentType),
  notJson: (text) =>
    RequestDoors.beginsForm(text.slice(0, 512))
      ? `this is a form, sent as JSON: leave ${RequestDoors.asJson} out, curl -F says what it sends`
      : undefined,
};

export const isJson = (contentType: string | undefined): boolean => doors.isJson(contentType ?? "");

/**
 * A form with labels in `file`.
 * @throws AppError `invalid_request`, `payload_too_large` above 4 MiB, which names the way that remains.
 */
export async function formOf(
  raw: RawBody,
): Promise<z.output<typeof Schema.FormFields> & { file: Uint8Array }> {
  const wrong = (path: string, message: string) => invalidRequest([{ path, message }]);
  const form = await Multipart.parse(raw, {
    bytes: sizes.inlineImageBytes,
    tooLarge: (bytes) => Wrong.tooLargeForCall(sizes.inlineImageBytes, bytes),
    files: 1,
    advice: "a ground truth is one file",
  });
  const twice = [...form.fields].find(([, values]) => values.length > 1);
  if (twice !== undefined) throw wrong(shownName(twice[0]), "is there more than once");
  const fields = [...form.fields].flatMap(([name, [value = ""]]) => (value === "" ? [] : [[name, value]]));
  const data = await checked(Schema.FormFields, Object.fromEntries(fields));
  const [file] = form.files;
  if (file === undefined || file.field !== "file")
    throw wrong("file", "is needed: curl -F file=@labels.jsonl");
  return { ...data, file: file.bytes };
}
