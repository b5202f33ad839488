import { lookup } from "node:dns/promises";
import type { Log } from "#core/log";
import { sizes, type Times } from "#infra/limits";
import { isPublic } from "./address.ts";
import { download as downloadIn, type World } from "./download.ts";

/** The public internet, by the system's resolver. Nothing that is configured or sent makes it any larger. */
const internet: World = {
  lookup: (hostname) => lookup(hostname, { all: true }),
  allows: isPublic,
  allowsPort: () => false,
};

/**
 * The bytes that a caller's URL shows: http or https, public addresses only (core/remote/download.ts says how that
 * is kept), at most 10 MiB, 10 s and three redirects. Whether they are a picture is for whoever looks at them.
 * @param options.deadline - epoch milliseconds; ends it earlier.
 * @throws AppError `invalid_request` with `details.reason`, `payload_too_large`; none names URL, host or address.
 */
export function download(
  url: string,
  options: { log: Log; times: Pick<Times, "imageUrlMs">; deadline: number },
): Promise<Uint8Array> {
  return downloadIn(
    url,
    {
      log: options.log,
      protocols: ["https:", "http:"],
      maxBytes: sizes.imageUrlBytes,
      timeoutMs: Math.min(options.times.imageUrlMs, options.deadline - Date.now()),
    },
    internet,
  );
}
