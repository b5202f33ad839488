/** Helpers for tests of downloads: networks to resolve names in, and a log that keeps its lines. */
import * as net from "node:net";
import { vi } from "vitest";
import type { AppError } from "#core/error";
import type { Fields, Log } from "#core/log";
import { isPublic } from "#core/remote/address";
import { download } from "#core/remote/download";
import type { Address, World } from "#core/remote/resolve";

export const lines: Fields[] = [];

export const write = (_event: string, fields: Fields = {}) => void lines.push(fields);

export const log: Log = { info: write, warn: write, error: write, child: () => log };

type Limits = Parameters<typeof download>[1];
export const limits: Limits = { log, protocols: ["https:", "http:"], maxBytes: 100_000, timeoutMs: 5_000 };

export const addressesOf = (...found: string[]): Address[] =>
  found.map((address) => ({ address, family: net.isIP(address) }));

/** As deployed, except for the resolver. */
export function internet(answers: Record<string, string[]> = {}) {
  const lookup = vi.fn(async (name: string) => {
    const found = answers[name];
    if (found === undefined)
      throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: "ENOTFOUND" });
    return addressesOf(...found);
  });
  return { lookup, allows: isPublic, allowsPort: () => false };
}

/** A network whose public internet is 127.0.0.1, on any port. */
export function loopback(lookup: World["lookup"] = async () => addressesOf("127.0.0.1")) {
  return {
    lookup: vi.fn(lookup),
    allows: vi.fn((address: string) => address === "127.0.0.1"),
    allowsPort: () => true,
  };
}

export async function refusal(url: string, world: World, more: Partial<Limits> = {}): Promise<AppError> {
  try {
    await download(url, { ...limits, ...more }, world);
  } catch (thrown) {
    return thrown as AppError;
  }
  throw new Error("it was downloaded");
}

export const reasonOf = ({ details }: AppError) => details?.reason;
