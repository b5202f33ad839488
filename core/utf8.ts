import { isUtf8 } from "node:buffer";

/*
 * Callers' text must be UTF-8. Other bytes would silently become U+FFFD: a custom id that was never sent, an account
 * that does not exist.
 */

/** The text of these bytes, or what is wrong with them. */
export type Read = { text: string; problem?: never } | { text?: never; problem: string };

/** For `details.reason`. */
export const reason = "not_utf8";

/** @returns the text; a byte order mark stays in it. */
export function read(bytes: Uint8Array): Read {
  if (isUtf8(bytes))
    return { text: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8") };
  return { problem: problemAt(invalidAt(bytes)) };
}

/**
 * What is wrong with a text that was decoded before (by the gateway, or a form's parser), with U+FFFD in the place of
 * invalid bytes. A caller that means this character itself can send it as a JSON escape.
 */
export function problemOf(decoded: string): string | undefined {
  const at = decoded.indexOf("\ufffd");
  return at < 0 ? undefined : problemAt(Buffer.byteLength(decoded.slice(0, at), "utf8"));
}

const problemAt = (at: number) => `is not UTF-8 (at byte ${at + 1})`;

/** True if a message is this problem: mistakes of a manifest are stored as text until all of it was checked. */
export const isAbout = (message: string | undefined): boolean => message?.startsWith("is not UTF-8") ?? false;

/** Index of the first invalid byte, from 0, in bytes that have one. */
function invalidAt(bytes: Uint8Array): number {
  // True if the first bytes up to this length are invalid; a character that is only cut off is not.
  const isWrong = (length: number) => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length), { stream: true });
      return false;
    } catch {
      return true;
    }
  };
  let [good, bad] = [0, bytes.length + 1];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (isWrong(middle)) bad = middle;
    else good = middle;
  }
  // The invalid character began up to three bytes earlier.
  while (good > 0 && !isUtf8(bytes.subarray(0, good))) good -= 1;
  return good;
}

/** What to do about it; this text follows the description of the problem. */
export const cure = "send it as UTF-8";
