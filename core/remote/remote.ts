import { lookup } from "node:dns/promises";
import type { Log } from "#core/log";
import { sizes, type Times } from "#spec/limits";
import { isPublic } from "./address.ts";
import { download as downloadIn } from "./download.ts";
import type { World } from "./resolve.ts";

/** The public internet, by the system's resolver. Nothing that is configured or sent makes it any larger. */
export const internet: World = {
  lookup: (hostname) => lookup(hostname, { all: true }),
  allows: isPublic,
  allowsPort: () => false,
};

/**
 * The bytes that a caller's URL shows: http or https, public addresses only (core/remote/download.ts says how that
 * is kept), at most 10 MiB, 10 s and three redirects. Whether they are a picture, the caller finds out.
 * @param options.deadline - epoch milliseconds; ends it earlier. @param options.protocols - fewer than both.
 * @param options.allowsHost - asked of the first host and of every one that is redirected to.
 * @throws AppError `invalid_request` with `details.reason`, `payload_too_large`; none names URL, host or address.
 */
export function download(
  url: string,
  options: {
    log: Log;
    times: Pick<Times, "imageUrlMs">;
    deadline: number;
    protocols?: readonly string[];
    allowsHost?: (hostname: string) => boolean;
  },
): Promise<Uint8Array> {
  return downloadIn(
    url,
    {
      log: options.log,
      protocols: options.protocols ?? ["https:", "http:"],
      allowsHost: options.allowsHost,
      maxBytes: sizes.imageUrlBytes,
      timeoutMs: Math.min(options.times.imageUrlMs, options.deadline - Date.now()),
    },
    internet,
  );
}

/** Every address and port that this machine can reach; for receivers of webhooks on the local loop alone. */
export const anywhere: World = {
  lookup: internet.lookup,
  allows: () => true,
  allowsPort: () => true,
  allowsLocalNames: true,
};
