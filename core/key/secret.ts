import { createHash, createHmac } from "node:crypto";
import * as Id from "#core/id";

/** `ocrlty_<8 of the key id's hash>_<43 random>`: 256 random bits, and a prefix by which a leaked key is recognized. */
export const shape = /^ocrlty_[0-9a-f]{8}_[A-Za-z0-9_-]{43}$/;

/** A new secret of a key. */
export function create(keyId: string): string {
  const mark = createHash("sha256").update(keyId).digest("hex").slice(0, 8);
  return `ocrlty_${mark}_${Id.secret(32)}`;
}

/** The hash of a secret that is stored. */
export function hashOf(apiKey: string, pepper: string): string {
  return createHmac("sha256", pepper).update(apiKey).digest("hex");
}

/** `ocrlty_`, the key's mark and four random characters: enough to recognize a secret, far too little to guess it. */
export const startOf = (apiKey: string) => apiKey.slice(0, 20);
