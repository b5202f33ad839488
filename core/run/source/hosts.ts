import { isIP } from "node:net";
import { isPublic } from "#core/remote/address";

/**
 * The hosts that a manifest may name by default: where the large clouds serve buckets, according to their
 * documentation. No entry covers a cloud's whole domain, where anyone can run a server. A `*` stands for characters
 * of one label.
 */
export const defaults: readonly string[] = [
  // AWS S3: virtual hosts and paths, dual stack, transfer acceleration, China ("Methods for accessing a bucket").
  "s3.amazonaws.com",
  "*.s3.amazonaws.com",
  "s3.*.amazonaws.com",
  "*.s3.*.amazonaws.com",
  "s3.dualstack.*.amazonaws.com",
  "*.s3.dualstack.*.amazonaws.com",
  "*.s3-accelerate.amazonaws.com",
  "s3.*.amazonaws.com.cn",
  "*.s3.*.amazonaws.com.cn",
  // Cloudflare R2: an account, a bucket of it, both in a jurisdiction, and public development addresses.
  "*.r2.cloudflarestorage.com",
  "*.*.r2.cloudflarestorage.com",
  "*.*.*.r2.cloudflarestorage.com",
  "*.r2.dev",
  // Google Cloud Storage ("Request endpoints").
  "storage.googleapis.com",
  "*.storage.googleapis.com",
  // Azure Blob Storage.
  "*.blob.core.windows.net",
];

/**
 * True if a host matches one of the patterns. The pattern `*` alone allows every host name and every public address;
 * other patterns never match an address. The address behind a name is checked when it is fetched.
 * @param hostname - as `URL` gives it: lower case, normalized addresses, IPv6 in brackets.
 */
export function allows(hostname: string, patterns: readonly string[]): boolean {
  const address = hostname.replace(/^\[|\]$/g, "");
  if (isIP(address) !== 0) return patterns.includes("*") && isPublic(address);
  const host = hostname.replace(/\.$/, "");
  return patterns.some((pattern) => pattern === "*" || matches(host, pattern.toLowerCase()));
}

function matches(host: string, pattern: string): boolean {
  const labels = host.split(".");
  const wanted = pattern.split(".");
  return (
    labels.length === wanted.length && wanted.every((part, i) => matchesLabel(labels[i] as string, part))
  );
}

/** Places each piece between the stars as early as possible, which takes linear time for any pattern. */
function matchesLabel(label: string, pattern: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return label === pattern;
  if (!label.startsWith(first)) return false;
  let at = first.length;
  for (const piece of rest) {
    const found = label.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return label.length - last.length >= at && label.endsWith(last) && label !== "";
}

/** The URL of a picture, or why it is invalid. No message repeats the URL. */
export function check(text: string, patterns: readonly string[]): { url: URL } | { problem: string } {
  // Refuses what the parser would silently drop or translate.
  if (!/^https:\/\/[^\s\\]+$/i.test(text) || !URL.canParse(text)) return { problem: "not an https address" };
  const url = new URL(text);
  if (url.username !== "" || url.password !== "")
    return { problem: "an address with a user name or password is refused" };
  if (url.port !== "") return { problem: "an address with a port is refused" };
  if (!allows(url.hostname, patterns)) return { problem: "this host is not in IMAGE_URL_HOSTS" };
  return { url };
}

const signing =
  /^(x-amz-.*|x-goog-.*|awsaccesskeyid|googleaccessid|signature|expires|key-pair-id|policy|sig|se|st|sp|sv|sr|ske|skoid|sktid|skt|sks|skv|spr|sip)$/i;

/** A URL without its signature: the same picture has the same one when it is signed again. */
export function unsigned(text: string): string {
  if (!URL.canParse(text)) return text;
  const url = new URL(text);
  for (const name of [...url.searchParams.keys()]) if (signing.test(name)) url.searchParams.delete(name);
  return url.href;
}
