import { lookup } from "node:dns/promises";
import type { Log } from "#core/log";
import { sizes, type Times } from "#spec/limits";
import { isPublic } from "./address.ts";
import { download as downloadIn } from "./download.ts";
import type { World } from "./resolve.ts";

/** The public internet, by the system's resolver. No setting or request can extend it. */
export const internet: World = {
  lookup: (hostname) => lookup(hostname, { all: true }),
  allows: isPublic,
  allowsPort: () => false,
};

/**
 * Downloads the bytes at a caller's URL: http or https, public addresses only (core/remote/download.ts says how), at
 * most 20 MiB, 10 s and three redirects. The caller checks whether they are a picture.
 * @param options.deadline - epoch milliseconds; an earlier end.
 * @param options.protocols - fewer than both.
 * @param options.allowsHost - called for the first host and for every redirect.
 * @throws AppError `invalid_request` with `details.reason`, `image_too_large`; none names a URL, host or address.
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

/** Every address and port that this machine can reach; only for webhook receivers of the local loop. */
export const anywhere: World = {
  lookup: internet.lookup,
  allows: () => true,
  allowsPort: () => true,
  allowsLocalNames: true,
};
