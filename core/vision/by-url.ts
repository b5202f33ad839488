import type { Picture } from "#core/vision/complete";
import type { Fault } from "#core/vision/fault";
import { classify } from "#core/vision/verdict";

/**
 * Servers that did not take pictures by URL, by their address. They get bytes for ten minutes; then a URL is tried again,
 * because a server may be started anew, with other flags.
 */
const refused = new Map<string, number>();
const keepMs = 600_000;

export const isUsed = (images: readonly Picture[]): boolean => images.some(({ url }) => url !== undefined);

/** True if pictures go to this server as bytes, whatever the setting says. */
export const isOff = (server: { baseUrl: string }): boolean =>
  (refused.get(server.baseUrl) ?? 0) > Date.now();

/**
 * Records that the server answered only when it got the bytes. @returns true if that is new and should be reported.
 */
export function turnOff(server: { baseUrl: string }): boolean {
  const isNew = !refused.has(server.baseUrl);
  refused.set(server.baseUrl, Date.now() + keepMs);
  return isNew;
}

/** Records that the server accepted a picture by its URL, so that a later refusal is reported again. */
export const works = (server: { baseUrl: string }): void => {
  refused.delete(server.baseUrl);
};

/**
 * True if a call with a picture by URL may have failed for the URL alone. Besides the known messages that is any refusal
 * without another reason, and the server's own 5xx: vLLM answers 500 when its fetch ran out of time. An outage, overload and
 * a context that is too short have nothing to do with it.
 */
export function mayBeToBlame(fault: Fault): boolean {
  if (fault.pictureNotFetched) return true;
  if (fault.kind !== "status" || !fault.fromModelServer) return false;
  const { contextTooLong, unknownFields, schemaRefused, pictureRefused, modelMissing } = fault;
  if (contextTooLong ?? unknownFields ?? schemaRefused ?? pictureRefused ?? modelMissing) return false;
  const verdict = classify(fault);
  return verdict === "refused" || (verdict === "item" && (fault.status ?? 0) >= 500);
}
