import { isUtf8 } from "node:buffer";

/*
 * Text of callers must be UTF-8. Other bytes would silently become U+FFFD: a custom id that was never sent, an account
 * that does not exist.
 */

/** The text of these bytes, or what is wrong with them. */
export type Read = { text: string; problem?: never } | { text?: never; problem: string };

/** Of `details.reason`. */
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

/** Whether a message says so: what is wrong with a manifest is kept as text until all of it was looked at. */
export const isAbout = (message: string | undefined): boolean => message?.startsWith("is not UTF-8") ?? false;

/** The first byte that belongs to no character, from 0, of bytes that have one. */
function invalidAt(bytes: Uint8Array): number {
  // Whether so many bytes from the start have a fault; what only breaks off has none yet.
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
  // The character that is wrong began up to three bytes before it was seen to be.
  while (good > 0 && !isUtf8(bytes.subarray(0, good))) good -= 1;
  return good;
}

/** What to do about it, behind what is wrong. */
export const cure = "send it as UTF-8";
