import { createCipheriv, createHash, randomBytes } from "node:crypto";
import { document, type Part } from "./pdf.ts";

/*
 * Encrypts small PDFs for tests by the standard security handler (ISO 32000-2, section 7.6): RC4 of 128 bits (revision 3) and
 * AES of 256 bits (revision 6). Strings must be written in parentheses without escapes, or not at all.
 */

export interface Encryption {
  method: "rc4" | "aes256";
  /** Opens the document; empty: it opens without one. */
  user: string;
  owner?: string;
}

/** The encryption of the catalog's entries and of all strings and streams. */
interface Sealed {
  /** Entries of the trailer's /Encrypt. */
  dict: string;
  bytes(number: number, data: Uint8Array): Buffer;
}

/** The document of these objects as `document` makes it, encrypted. */
export function encrypted(objects: readonly Part[], how: Encryption): Uint8Array {
  const id = createHash("md5").update(how.method).digest();
  const sealed = how.method === "rc4" ? byRc4(how, id) : byAes(how);
  const texts = (text: string, number: number) =>
    text.replace(/\(([^()]*)\)/g, (_, plain: string) => `<${hex(sealed.bytes(number, latin1(plain)))}>`);
  const parts = objects.map((part, i): Part => {
    if (typeof part === "string") return texts(part, i + 1);
    const data = typeof part.data === "string" ? latin1(part.data) : part.data;
    return { dict: texts(part.dict, i + 1), data: sealed.bytes(i + 1, data) };
  });
  const trailer = `/Encrypt ${objects.length + 1} 0 R /ID [<${hex(id)}> <${hex(id)}>]`;
  return document([...parts, `<< ${sealed.dict} >>`], { trailer });
}

const latin1 = (text: string) => Buffer.from(text, "latin1");
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const hash = (name: string, ...parts: Uint8Array[]) =>
  parts.reduce((sum, part) => sum.update(part), createHash(name)).digest();
/** Everything is permitted. */
const permissions = -4;

/** Algorithm 2, step a: the padding of passwords. */
const padding = Buffer.from("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a", "hex");
const padded = (password: string) => Buffer.concat([latin1(password), padding]).subarray(0, 32);

function rc4(key: Uint8Array, data: Uint8Array): Buffer {
  const state = Uint8Array.from({ length: 256 }, (_, i) => i);
  const swap = (a: number, b: number) => {
    [state[a], state[b]] = [state[b] as number, state[a] as number];
  };
  for (let i = 0, j = 0; i < 256; i += 1) {
    j = (j + (state[i] as number) + (key[i % key.length] as number)) & 255;
    swap(i, j);
  }
  let [i, j] = [0, 0];
  return Buffer.from(
    data.map((byte) => {
      i = (i + 1) & 255;
      j = (j + (state[i] as number)) & 255;
      swap(i, j);
      return byte ^ (state[((state[i] as number) + (state[j] as number)) & 255] as number);
    }),
  );
}

/** Algorithm 3, steps e to g, and algorithm 5: twenty rounds, each with a key of its own. */
const rounds = (key: Uint8Array, data: Uint8Array) =>
  Array.from({ length: 20 }, (_, round) => key.map((byte) => byte ^ round)).reduce<Buffer>(
    (text, each) => rc4(each, text),
    Buffer.from(data),
  );
const md5Often = (first: Uint8Array) =>
  Array.from({ length: 50 }).reduce<Buffer>((sum) => hash("md5", sum), Buffer.from(first));

function byRc4({ user, owner = user }: Encryption, id: Uint8Array): Sealed {
  const ofOwner = rounds(md5Often(hash("md5", padded(owner))), padded(user));
  const flags = Buffer.alloc(4);
  flags.writeInt32LE(permissions);
  const key = md5Often(hash("md5", padded(user), ofOwner, flags, id));
  const ofUser = Buffer.concat([rounds(key, hash("md5", padding, id)), Buffer.alloc(16)]);
  return {
    dict: `/Filter /Standard /V 2 /R 3 /Length 128 /P ${permissions} /O <${hex(ofOwner)}> /U <${hex(ofUser)}>`,
    bytes(number, data) {
      const which = Buffer.from([number & 255, (number >> 8) & 255, number >> 16, 0, 0]);
      return rc4(hash("md5", key, which), data);
    },
  };
}

function aes(name: string, key: Uint8Array, iv: Uint8Array | null, data: Uint8Array, padded = false): Buffer {
  const cipher = createCipheriv(name, key, iv).setAutoPadding(padded);
  return Buffer.concat([cipher.update(data), cipher.final()]);
}

/** Algorithm 2.B. */
function slowHash(password: Uint8Array, salt: Uint8Array, ofUser: Uint8Array): Buffer {
  let key = hash("sha256", password, salt, ofUser);
  for (let round = 0, last = 0; round < 64 || last > round - 32; round += 1) {
    const once = Buffer.concat([password, key, ofUser]);
    const text = Buffer.concat(Array<Buffer>(64).fill(once));
    const sealed = aes("aes-128-cbc", key.subarray(0, 16), key.subarray(16, 32), text);
    const rest = sealed.subarray(0, 16).reduce((sum, byte) => sum + byte, 0) % 3;
    key = hash(["sha256", "sha384", "sha512"][rest] ?? "", sealed);
    last = sealed.at(-1) ?? 0;
  }
  return key.subarray(0, 32);
}

const none = Buffer.alloc(0);
const zeros = Buffer.alloc(16);

function byAes({ user, owner = user }: Encryption): Sealed {
  const fileKey = randomBytes(32);
  /** Algorithms 8 and 9: the entry that checks a password, and the one from which it gets the file's key. */
  const entries = (password: string, ofUser: Uint8Array) => {
    const secret = Buffer.from(password);
    const [check, salt] = [randomBytes(8), randomBytes(8)];
    return [
      Buffer.concat([slowHash(secret, check, ofUser), check, salt]),
      aes("aes-256-cbc", slowHash(secret, salt, ofUser), zeros, fileKey),
    ] as const;
  };
  const [u, ue] = entries(user, none);
  const [o, oe] = entries(owner, u);
  const flags = Buffer.alloc(16, 0xff);
  flags.writeInt32LE(permissions);
  flags.write("Tadb", 8, "latin1");
  const perms = aes("aes-256-ecb", fileKey, null, flags);
  const filter =
    "/CF << /StdCF << /CFM /AESV3 /AuthEvent /DocOpen /Length 32 >> >> /StmF /StdCF /StrF /StdCF";
  const keys = `/O <${hex(o)}> /U <${hex(u)}> /OE <${hex(oe)}> /UE <${hex(ue)}> /Perms <${hex(perms)}>`;
  return {
    dict: `/Filter /Standard /V 5 /R 6 /Length 256 /P ${permissions} ${filter} ${keys}`,
    bytes(_, data) {
      const iv = randomBytes(16);
      return Buffer.concat([iv, aes("aes-256-cbc", fileKey, iv, data, true)]);
    },
  };
}
