import { describe, expect, test } from "vitest";
import * as Pdf from "#test/support/pdf";
import { type Encryption, encrypted } from "#test/support/pdf-encryption";
import { open } from "./pdf.ts";

/** PDFs that are encrypted, made by this repository's own code. */

const words = ["Invoice 4711", "Total 12.50"];
const sealed = (how: Encryption) => encrypted(Pdf.partsOf([{ content: Pdf.lines(words) }]), how);
const refused = (reason: string) => ({ code: "invalid_image", details: { reason } });

async function read(bytes: Uint8Array, password?: string) {
  const opened = await open(bytes, { password });
  const { words } = opened.text(0);
  opened.close();
  return { text: words.map(({ text }) => text).join(" "), repaired: opened.repaired };
}

describe.each(["rc4", "aes256"] as const)("a PDF that is encrypted by %s", (method) => {
  test("opens by its user's and its owner's password, and by no other", async () => {
    const bytes = sealed({ method, user: "for the buyer", owner: "for the seller" });
    for (const password of ["for the buyer", "for the seller"])
      expect(await read(bytes, password)).toEqual({ text: words.join(" "), repaired: false });
    await expect(read(bytes)).rejects.toMatchObject(refused("pdf_encrypted"));
    for (const password of ["for the Buyer", "for the buyer ", "x"])
      await expect(read(bytes, password)).rejects.toMatchObject(refused("pdf_wrong_password"));
  });

  test("opens without a password if the user's is empty, and then also with any other", async () => {
    const bytes = sealed({ method, user: "", owner: "for the seller" });
    expect(await read(bytes)).toEqual({ text: words.join(" "), repaired: false });
  });
});

test("a PDF that is encrypted for certificates has its own error, with and without a password", async () => {
  const parts = [
    ...Pdf.partsOf([{ content: "" }]),
    "<< /Filter /Adobe.PubSec /V 4 /SubFilter /adbe.pkcs7.s5 >>",
  ];
  const bytes = Pdf.document(parts, { trailer: `/Encrypt ${parts.length} 0 R` });
  for (const password of [undefined, "x"])
    await expect(read(bytes, password)).rejects.toMatchObject(refused("pdf_encryption_not_read"));
});
