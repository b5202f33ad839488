import { readFileSync } from "node:fs";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { Decoder } from "#core/document/decoder";
import * as Document from "#core/document/document";
import { guards, type PdfGuards } from "#spec/guards";
import { document, firstAfter, lines, pages } from "#test/support/pdf";
import { open } from "./pdf.ts";

const limits = guards.pdf;

const fixture = (name: string) => new Uint8Array(readFileSync(join(import.meta.dirname, "fixtures", name)));
const whole = () => pages([{ content: lines(["Invoice 4711", "Total 12.50"]) }]);
const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));

/** The size of the first page, and whether the file had to be repaired. */
async function read(bytes: Uint8Array, password?: string) {
  const opened = await open(bytes, { password });
  const { words } = opened.text(0);
  const shape = await opened.shape(0);
  opened.close();
  return { text: words.map(({ text }) => text).join(" "), repaired: opened.repaired, width: shape.width };
}

const text = "Invoice 4711 Total 12.50";
const refused = (reason: string, details = {}) => ({
  code: "invalid_image",
  details: { reason, ...details },
});

describe("files of common writers are not reported as repaired", () => {
  test.each(["linearized.pdf", "object-streams.pdf", "aes-owner.pdf"])("%s", async (name) => {
    expect(await read(fixture(name))).toMatchObject({ text, repaired: false });
  });

  test.each([
    ["bytes before the header", (pdf: string) => `\n\n${"x".repeat(1000)}\n${pdf}`],
    ["bytes after the end", (pdf: string) => `${pdf}${"\0".repeat(900)}`],
    ["a line of a mail after the end", (pdf: string) => `${pdf}\r\n--boundary--\r\n`],
    ["line ends of Windows at its end", (pdf: string) => pdf.replace(/%%EOF\n$/, "%%EOF\r\n\r\n")],
    ["no line end at its end", (pdf: string) => pdf.trimEnd()],
  ])("%s", async (_, change) => {
    expect(await read(bytesOf(change(latin1(whole()))))).toMatchObject({ text, repaired: false });
  });

  test("an update that was appended", async () => {
    const before = latin1(whole());
    const table = /startxref\n(\d+)/.exec(before)?.[1];
    const content = lines(["Invoice 4711", "Total 99.00"]);
    const update = `5 0 obj\n<< /Length ${content.length} >>\nstream\n${content}\nendstream\nendobj\n`;
    const after = `${before}${update}xref\n5 1\n${String(before.length).padStart(10, "0")} 00000 n \ntrailer\n<< /Size 6 /Root 1 0 R /Prev ${table} >>\nstartxref\n${before.length + update.length}\n%%EOF\n`;
    expect(await read(bytesOf(after))).toMatchObject({ text: "Invoice 4711 Total 99.00", repaired: false });
    // The same update, cut off before its table.
    const cut = after.slice(0, after.lastIndexOf("xref\n5 1"));
    expect((await read(bytesOf(cut))).repaired).toBe(true);
  });
});

test.each([
  ["a table that lies", (pdf: string) => pdf.replace(/startxref\n\d+/, "startxref\n7")],
  ["entries that lie", (pdf: string) => pdf.replace(/\d{10} 00000 n/g, "0000000003 00000 n")],
  ["no end", (pdf: string) => pdf.slice(0, pdf.indexOf("xref\n0"))],
  ["no version", (pdf: string) => pdf.replace("%PDF-1.7", "%PDFfile")],
])("a file with %s is read, and reported as repaired", async (_, change) => {
  expect(await read(bytesOf(change(latin1(whole()))))).toMatchObject({ text, repaired: true });
});

test.each([
  ["of the page itself", "/CropBox [2000 2000 2100 2100]", "/MediaBox"],
  ["of its ancestors", "/CropBox [0 0 0 0]", "/MyBox"],
])("a page of which its CropBox leaves nothing is seen by the MediaBox %s", async (_, extra, name) => {
  const file = latin1(pages([{ content: lines(["Invoice 4711", "Total 12.50"]), box: "0 0 300 200", extra }]))
    .replace("/MediaBox", name.padEnd(9))
    .replace("/Type /Pages ", "/Type /Pages /MediaBox [300 200 0 0] ");
  expect(await read(bytesOf(file))).toMatchObject({ text, width: 300 });
});

describe("a file that says that it has", () => {
  const three = () =>
    latin1(
      pages(["One", "Two", "Three"].map((word) => ({ content: lines([`Page ${word}`, "Total 12.50"]) }))),
    );
  const textsOf = async (bytes: Uint8Array) => {
    const opened = await open(bytes, { password: undefined });
    const texts = Array.from({ length: opened.pages }, (_, index) => {
      const { width } = opened.shape(index) as { width: number };
      return width > 0 ? opened.text(index).words.map(({ text: word }) => word)[1] : "";
    });
    opened.close();
    return { texts, repaired: opened.repaired };
  };

  test.each([
    ["as many pages as it has", "3", ["One", "Two", "Three"], false],
    ["more pages than it has", "9", ["One", "Two", "Three"], true],
    ["fewer: its readers see no more", "2", ["One", "Two"], true],
  ])("%s", async (_, count, texts, repaired) => {
    const file = three().replace(/\/Count 3/, `/Count ${count}`);
    expect(await textsOf(bytesOf(file))).toEqual({ texts, repaired });
  });

  test("a page that is not there has the others", async () => {
    const file = three().replace(/(\/Kids \[ ?\d+ 0 R )(\d+)( 0 R)/, "$199$3");
    expect(file).not.toBe(three());
    expect(await textsOf(bytesOf(file))).toEqual({ texts: ["One", "Three"], repaired: true });
  });
});

test("that a file was repaired is known of the document", async () => {
  const decoder = new Decoder();
  const opened = async (bytes: Uint8Array) => (await Document.open(bytes, { decoder })).repaired;
  expect(await opened(whole())).toBe(false);
  expect(await opened(bytesOf(latin1(whole()).replace(/startxref\n\d+/, "startxref\n7")))).toBe(true);
  decoder.end();
});

test.each([
  ["no header", (pdf: string) => pdf.replace("%PDF-1.7", "a text, no")],
  ["no object", () => "%PDF-1.7\nnothing\n%%EOF\n"],
  [
    "no page",
    (pdf: string) => pdf.replace("/Pages 2 0 R", "/Nothing 2 0 R").replace("/Type /Page ", "/Type /Nix "),
  ],
])("a file with %s is pdf_broken", async (_, change) => {
  await expect(read(bytesOf(change(latin1(whole()))))).rejects.toMatchObject(refused("pdf_broken"));
});

test("an encrypted file opens without a password if none is needed, else only with the right one", async () => {
  expect(await read(fixture("aes-owner.pdf"))).toMatchObject({ text, width: 600 });
  for (const [name, password] of [
    ["rc4-password.pdf", "secret"],
    ["aes-password.pdf", "pässword"],
  ] as const) {
    await expect(read(fixture(name))).rejects.toMatchObject(refused("pdf_encrypted"));
    await expect(read(fixture(name), "wrong")).rejects.toMatchObject(refused("pdf_wrong_password"));
    expect(await read(fixture(name), password)).toMatchObject({ text, repaired: false });
  }
});

describe("limits", () => {
  const opened = async (bytes: Uint8Array, lower: Partial<PdfGuards>) => {
    const pdf = await open(bytes, { limits: { ...limits, ...lower } });
    const shape = await pdf.shape(0);
    await pdf.raster(0, { width: Math.round(shape.width), height: Math.round(shape.height) });
    pdf.close();
    return pdf.pages;
  };
  const many = (count: number) => pages(Array.from({ length: count }, () => ({ content: "" })));

  test("of pages: existing and declared ones", async () => {
    expect(await opened(many(3), { pages: 3 })).toBe(3);
    const tooMany = refused("pdf_too_many_pages", { limit_pages: 3 });
    await expect(opened(many(4), { pages: 3 })).rejects.toMatchObject(tooMany);
    const declared = bytesOf(latin1(many(3)).replace("/Count 3", "/Count 4"));
    await expect(opened(declared, { pages: 3 })).rejects.toMatchObject(tooMany);
    const billions = bytesOf(latin1(many(3)).replace("/Count 3", "/Count 2147483647"));
    await expect(opened(billions, {})).rejects.toMatchObject(refused("pdf_too_many_pages"));
  });

  test("of objects", async () => {
    expect(await opened(many(1), { objects: 6 })).toBe(1);
    await expect(opened(many(2), { objects: 6 })).rejects.toMatchObject(refused("pdf_too_many_objects"));
  });

  /** A tree with this many levels above its only page. */
  const tree = (levels: number, last = `${levels + 2} 0 R`) =>
    document([
      "<< /Type /Catalog /Pages 2 0 R >>",
      ...Array.from(
        { length: levels },
        (_, i) => `<< /Type /Pages /Count 1 /Kids [${i + 1 === levels ? last : `${i + 3} 0 R`}] >>`,
      ),
      `<< /Type /Page /Parent ${levels + 1} 0 R /MediaBox [0 0 100 100] >>`,
    ]);

  test("of the page tree: its depth, and circles", async () => {
    expect(await opened(tree(5), { treeDepth: 5 })).toBe(1);
    await expect(opened(tree(6), { treeDepth: 5 })).rejects.toMatchObject(refused("pdf_page_tree"));
    await expect(opened(tree(4, "2 0 R"), {})).rejects.toMatchObject(refused("pdf_page_tree"));
  });

  test("of a page's size", async () => {
    const page = (extra: string) => pages([{ content: "", box: "0 0 300 200", extra }]);
    expect(await opened(page(""), { pagePoints: 300 })).toBe(1);
    await expect(opened(page("/UserUnit 1.1"), { pagePoints: 300 })).rejects.toMatchObject(
      refused("pdf_page_size"),
    );
  });

  test("of a picture on it, within a form too", async () => {
    const first = firstAfter(1);
    const bytes = pages([{ content: "/Fm Do", resources: `/XObject << /Fm ${first} 0 R >>` }], {
      more: [
        {
          dict: `/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /Im ${first + 1} 0 R >> >>`,
          data: "/Im Do",
        },
        {
          dict: "/Type /XObject /Subtype /Image /Width 10 /Height 10 /BitsPerComponent 8 /ColorSpace /DeviceGray",
          data: "x".repeat(100),
        },
      ],
    });
    expect(await opened(bytes, { imagePixels: 100 })).toBe(1);
    await expect(opened(bytes, { imagePixels: 99 })).rejects.toMatchObject(refused("pdf_image_size"));
  });

  test("of the content of a page: the length of its operators, in forms too, compressed or not", async () => {
    const content = (length: number) => "0 0 m 9 9 l S ".repeat(length / 14);
    const form = (data: Uint8Array | string, packed = "") =>
      pages([{ content: `/Fm Do ${content(140)}`, resources: `/XObject << /Fm ${firstAfter(1)} 0 R >>` }], {
        more: [{ dict: `/Type /XObject /Subtype /Form /BBox [0 0 9 9] ${packed}`, data }],
      });
    const tooMuch = refused("pdf_page_content");
    expect(await opened(form(content(1400)), { contentBytes: 1547 })).toBe(1);
    await expect(opened(form(content(1400)), { contentBytes: 1546 })).rejects.toMatchObject(tooMuch);
    const packed = form(deflateSync(content(1400)), "/Filter /FlateDecode");
    expect(await opened(packed, { contentBytes: 1547 })).toBe(1);
    await expect(opened(packed, { contentBytes: 1546 })).rejects.toMatchObject(tooMuch);
  });

  test("of the content of a page: the number of texts, lines and pictures, counted each time a form is drawn", async () => {
    const drawn = (times: number) =>
      pages([{ content: "/Fm Do ".repeat(times), resources: `/XObject << /Fm ${firstAfter(1)} 0 R >>` }], {
        more: [
          {
            dict: "/Type /XObject /Subtype /Form /BBox [0 0 9 9]",
            data: "0 0 m 9 9 l S 1 1 m 8 8 l S 2 2 m 7 7 l S",
          },
        ],
      });
    // Each use counts the form itself and its three lines.
    expect(await opened(drawn(5), { pageObjects: 20 })).toBe(1);
    await expect(opened(drawn(6), { pageObjects: 20 })).rejects.toMatchObject(refused("pdf_page_content"));
  });

  test("of its compressed tables after decompression", async () => {
    expect(await opened(fixture("object-streams.pdf"), { unfoldedBytes: 2_000 })).toBe(1);
    await expect(opened(fixture("object-streams.pdf"), { unfoldedBytes: 50 })).rejects.toMatchObject(
      refused("pdf_too_complex"),
    );
  });

  test("of memory: PDFium fails, and the next document is read", async () => {
    await expect(
      opened(pages([{ content: "", box: "0 0 6000 6000" }]), { heapBytes: 30_000_000 }),
    ).rejects.toMatchObject(refused("pdf_too_complex"));
    expect(await opened(many(1), { heapBytes: 30_000_000 })).toBe(1);
  });
});
