/** Headers of the pages at `/docs`. */

/** Only content from this host; no plug-ins, no forms, no framing. */
const common =
  "default-src 'none'; script-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Guides: one style sheet, one small script, and no calls at all. */
const guide = `${common}; style-src 'self'`;

/** The reference: its viewer (Scalar) adds inline styles and sends the calls that a reader tries out. */
const reference = `${common}; style-src 'self' 'unsafe-inline'; connect-src 'self'`;

/** The headers of a page. */
export function headers(kind: "guide" | "reference"): Record<string, string> {
  return {
    "Content-Security-Policy": kind === "guide" ? guide : reference,
    // The middleware's long list names features that browsers do not know and complain about.
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
  };
}
