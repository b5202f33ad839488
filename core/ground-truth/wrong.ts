import { AppError, type Issue, invalidRequest } from "#core/error";

/** A position in the input; lines and columns from 1. */
export interface Spot {
  line: number;
  column: number;
}

/** Why a ground truth is refused as a whole, `details.reason` on the wire. */
type Reason =
  | "gt_not_json"
  | "gt_not_utf8"
  | "gt_broken_gzip"
  | "gt_too_deep"
  | "gt_record_too_large"
  | "gt_too_many_records"
  | "gt_packed_twice"
  | "gt_image_key"
  | "gt_empty"
  | "gt_bad_records";

/** One mistake and its position. @param path - of the body; empty for the text itself. */
export function at(reason: Reason, message: string, spot: Partial<Spot> & { path?: string } = {}): AppError {
  const { line, column, path = "content" } = spot;
  const where =
    line === undefined ? "" : ` (line ${line}${column === undefined ? "" : `, column ${column}`})`;
  return invalidRequest([{ ...(line === undefined ? {} : { line }), path, message: `${message}${where}` }], {
    details: { reason },
  });
}

/** Mistakes in single records. @param count - their total number; `issues` has the first of them. */
export const records = (issues: readonly Issue[], count: number): AppError =>
  invalidRequest(issues, { details: { reason: "gt_bad_records", issue_count: count }, count });

/** The error for a form that is larger than a call may be; an upload may be larger. */
export const tooLargeForCall = (limitBytes: number, bytes: number): AppError =>
  new AppError(
    "payload_too_large",
    `the form has more than the ${limitBytes / 1024 / 1024} MiB that a call carries: upload the file with POST /v1/uploads (kind: ground_truth) and name it by data_ref`,
    {
      details: {
        limit_bytes: limitBytes,
        bytes,
        reason: "gt_too_large",
        recipe: [
          "POST /v1/uploads with kind: ground_truth and bytes: the file's exact size answers data_ref, upload_url, headers, and the PUT as a curl line",
          "PUT the file's bytes to upload_url with those headers",
          "POST /v1/ground_truths with name and that data_ref",
        ],
      },
    },
  );

/** @param how - compressed input may be small and still expand beyond the limit. */
export function tooLarge(limitBytes: number, how: "given" | "unpacked" = "given"): AppError {
  const most = `${limitBytes / 1024 / 1024} MiB`;
  const message =
    how === "given" ? `a ground truth has at most ${most}` : `the gzip unpacks to more than ${most}`;
  return new AppError("payload_too_large", message, {
    details: {
      limit_bytes: limitBytes,
      reason: how === "given" ? "gt_too_large" : "gt_unpacks_too_large",
    },
  });
}
