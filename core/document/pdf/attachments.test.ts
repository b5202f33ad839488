import { expect, test } from "vitest";
import { firstAfter, pages } from "#test/support/pdf";
import { open } from "./pdf.ts";

const first = firstAfter(1);
const file = (text: string) => ({ dict: "/Type /EmbeddedFile", data: text });
const naming = (number: number) => `<< /Type /Filespec /F (a.xml) /EF << /F ${number} 0 R >> >>`;

async function listed(bytes: Uint8Array) {
  const pdf = await open(bytes, {});
  const found = pdf.attachments().map(({ from, bytes: data }) => [from, Buffer.from(data).toString()]);
  pdf.close();
  return found;
}

test("files are found in the name tree, by /AF and in annotations, each once", async () => {
  const annotation = `<< /Type /Annot /Subtype /FileAttachment /Rect [0 0 9 9] /FS ${naming(first + 2)} >>`;
  const bytes = pages([{ content: "", extra: `/Annots [${annotation}] /AF [${naming(first + 1)}]` }], {
    catalog: `/AF [${naming(first)} ${naming(first + 3)}] /Names << /EmbeddedFiles << /Kids [${first + 4} 0 R] >> >>`,
    more: [
      file("<one/>"),
      file("<two/>"),
      file("<three/>"),
      file("<four/>"),
      // A circle in the tree ends the walk.
      `<< /Names [(a) ${naming(first)}] /Kids [${first + 4} 0 R] >>`,
    ],
  });
  expect(await listed(bytes)).toEqual([
    ["name_tree", "<one/>"],
    ["associated", "<four/>"],
    ["associated", "<two/>"],
    ["annotation", "<three/>"],
  ]);
});

test("a file that is larger than any e-invoice is left out", async () => {
  const bytes = pages([{ content: "" }], {
    catalog: `/AF [${naming(first)} ${naming(first + 1)}]`,
    more: [file("x".repeat(8_000_001)), file("<small/>")],
  });
  expect(await listed(bytes)).toEqual([["associated", "<small/>"]]);
});
