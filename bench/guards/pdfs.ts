import { deflateSync } from "node:zlib";
import { document, firstAfter, type Page, type Part, pages, scanned } from "#test/support/pdf";

/* PDFs that are large in one respect, all linear: any viewer opens them, some of them after a while. */

const a4 = "0 0 595 842";

/** Empty pages. */
export const empty = (count: number, declared = count): Uint8Array =>
  document([
    "<< /Type /Catalog /Pages 2 0 R >>",
    `<< /Type /Pages /Kids [${Array.from({ length: count }, (_, i) => `${i + 3} 0 R`).join(" ")}] /Count ${declared} >>`,
    ...Array.from({ length: count }, () => `<< /Type /Page /Parent 2 0 R /MediaBox [${a4}] >>`),
  ]);

/** Objects, of which one page uses four. */
export const objects = (count: number): Uint8Array =>
  document([
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    `<< /Type /Page /Parent 2 0 R /MediaBox [${a4}] >>`,
    ...Array.from({ length: count - 4 }, (_, i) => `<< /Number ${i} >>`),
  ]);

/** The same file without the tables that say where its objects are. */
export const lost = (bytes: Uint8Array): Uint8Array =>
  bytes.subarray(0, Buffer.from(bytes).lastIndexOf("xref\n0 "));

/** A tree of so many levels above its only page; `circle`: the last one leads to the first. */
export const tree = (levels: number, { circle = false } = {}): Uint8Array =>
  document([
    "<< /Type /Catalog /Pages 2 0 R >>",
    ...Array.from({ length: levels }, (_, i) => {
      const kid = circle && i + 1 === levels ? 2 : i + 3;
      return `<< /Type /Pages /Count 1 /Kids [${kid} 0 R] >>`;
    }),
    `<< /Type /Page /Parent ${levels + 1} 0 R /MediaBox [${a4}] >>`,
  ]);

export const sized = (points: number): Uint8Array => pages([{ content: "", box: `0 0 ${points} 800` }]);

const drawn = (content: string, more: Partial<Page> = {}) => pages([{ content, box: a4, ...more }]);
const across = (i: number) => `${i % 595} ${(i * 7) % 842} m ${(i * 13) % 595} ${(i * 17) % 842} l S`;

/** Lines across the page, each an object of its own. */
export const strokes = (count: number): Uint8Array =>
  drawn(Array.from({ length: count }, (_, i) => across(i)).join("\n"));

/** Words in tiny print. */
export const words = (count: number): Uint8Array =>
  drawn(
    Array.from(
      { length: count },
      (_, i) => `BT /F1 2 Tf ${(i * 13) % 595} ${(i * 7) % 842} Td (word${i}) Tj ET`,
    ).join("\n"),
  );

/** A form of ten words, drawn again and again. */
export const forms = (count: number): Uint8Array =>
  pages(
    [{ content: "/Fm Do ".repeat(count), box: a4, resources: `/XObject << /Fm ${firstAfter(1)} 0 R >>` }],
    {
      more: [
        {
          dict: `/Type /XObject /Subtype /Form /BBox [${a4}] /Resources << /Font << /F1 3 0 R >> >>`,
          data: Array.from({ length: 10 }, (_, i) => `BT /F1 9 Tf 40 ${800 - 12 * i} Td (word) Tj ET`).join(
            "\n",
          ),
        },
      ],
    },
  );

/** Comments, which draw nothing. */
export const content = (bytes: number): Uint8Array => drawn(`${`%${"x".repeat(98)}\n`.repeat(bytes / 100)}`);

interface Picture {
  width: number;
  height: number;
  data: Uint8Array;
  /** Entries of its dictionary beside its size. */
  dict: string;
}

/** A page that is one picture. */
export const picture = ({ width, height, data, dict }: Picture): Uint8Array =>
  pages([scanned(firstAfter(1), { matrix: "595 0 0 842 0 0", box: a4 })], {
    more: [{ dict: `/Type /XObject /Subtype /Image /Width ${width} /Height ${height} ${dict}`, data }],
  });

/** Pages that are one picture each; `more` are objects that nothing uses. */
export const scans = (
  pictures: readonly { dict: string; data: Uint8Array }[],
  more: readonly Part[] = [],
): Uint8Array =>
  pages(
    pictures.map((_, i) => scanned(firstAfter(pictures.length) + i, { matrix: "595 0 0 842 0 0", box: a4 })),
    { more: [...pictures, ...more] },
  );

export const jpegDict = "/BitsPerComponent 8 /ColorSpace /DeviceRGB /Filter /DCTDecode";

/** Rows of dashes on white, a bit a pixel: a page without print would not be read. */
function banded(side: number): Buffer {
  const rowBytes = side / 8;
  const data = Buffer.alloc(rowBytes * side, 0xff);
  for (let y = 100; y < side - 100; y += 200)
    for (let row = y; row < y + 40; row += 1) data.fill("ff00", row * rowBytes, (row + 1) * rowBytes, "hex");
  return data;
}

/** Of one bit a pixel. */
export const bits = (side: number): Uint8Array =>
  picture({
    width: side,
    height: side,
    data: deflateSync(banded(side)),
    dict: "/BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /FlateDecode",
  });

/** White in color. */
export const samples = (side: number): Uint8Array =>
  picture({
    width: side,
    height: side,
    data: deflateSync(Buffer.alloc(3 * side * side, 0xff), { level: 1 }),
    dict: "/BitsPerComponent 8 /ColorSpace /DeviceRGB /Filter /FlateDecode",
  });

/** A contract: pages of sixty lines. */
export const contract = (count: number): Uint8Array => {
  const line = (page: number, i: number) =>
    `BT /F1 9 Tf 40 ${800 - 12 * i} Td (${page}.${i} The parties agree that all words of this line are part of the contract.) Tj ET`;
  return pages(
    Array.from({ length: count }, (_, page) => ({
      content: Array.from({ length: 60 }, (_, i) => line(page, i)).join("\n"),
      box: a4,
    })),
  );
};
