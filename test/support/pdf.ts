/*
 * Writes small PDFs for tests: with a classic cross-reference table and nothing compressed, so that a person can read
 * them.
 */

/** An object: its text, or a stream's dictionary (without its brackets and its length) and data. */
export type Part = string | { dict: string; data: Uint8Array | string };

/** The document of these objects; the first is the catalog, numbers count from 1. */
export function document(objects: readonly Part[], { version = "1.7", trailer = "" } = {}): Uint8Array {
  const chunks: Buffer[] = [];
  const offsets: number[] = [];
  let length = 0;
  const push = (bytes: Uint8Array | string) => {
    const chunk = Buffer.from(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
    chunks.push(chunk);
    length += chunk.length;
  };
  push(`%PDF-${version}\n%\xe2\xe3\xcf\xd3\n`);
  for (const [i, part] of objects.entries()) {
    offsets.push(length);
    push(`${i + 1} 0 obj\n`);
    if (typeof part === "string") push(part);
    else {
      const data = typeof part.data === "string" ? Buffer.from(part.data, "latin1") : part.data;
      push(`<< ${part.dict} /Length ${data.length} >>\nstream\n`);
      push(data);
      push("\nendstream");
    }
    push("\nendobj\n");
  }
  const table = length;
  const rows = offsets.map((offset) => `${String(offset).padStart(10, "0")} 00000 n \n`).join("");
  push(`xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${rows}`);
  push(`trailer\n<< /Size ${objects.length + 1} /Root 1 0 R ${trailer} >>\nstartxref\n${table}\n%%EOF\n`);
  return new Uint8Array(Buffer.concat(chunks));
}

export interface Page {
  /** Operators of its content. */
  content: string;
  /** MediaBox; A5 landscape by default. */
  box?: string;
  /** Entries of the page's dictionary, such as `/Rotate 90`. */
  extra?: string;
  /** Entries of its resources beside the font F1. */
  resources?: string;
}

/** A document of pages. Objects of `more` follow the pages: the first has the number that `firstAfter` gives. */
export const pages = (list: readonly Page[], beside: Beside = {}): Uint8Array =>
  document(partsOf(list, beside));

export interface Beside {
  more?: readonly Part[];
  /** Entries of the catalog. */
  catalog?: string;
}

/** The objects of `pages`. */
export function partsOf(list: readonly Page[], { more = [], catalog = "" }: Beside = {}): Part[] {
  const kids = list.map((_, i) => `${4 + 2 * i} 0 R`).join(" ");
  return [
    `<< /Type /Catalog /Pages 2 0 R ${catalog} >>`,
    `<< /Type /Pages /Kids [${kids}] /Count ${list.length} >>`,
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ...list.flatMap(({ content, box = "0 0 400 200", extra = "", resources = "" }, i): Part[] => [
      `<< /Type /Page /Parent 2 0 R /MediaBox [${box}] /Contents ${5 + 2 * i} 0 R ${extra} /Resources << ${resources.includes("/Font") ? "" : "/Font << /F1 3 0 R >>"} ${resources} >> >>`,
      { dict: "", data: content },
    ]),
    ...more,
  ];
}

/** The number of the first object after so many pages. */
export const firstAfter = (count: number): number => 4 + 2 * count;

/** Content that writes lines from the top of a page of this height. */
export const lines = (texts: readonly string[], top = 160): string =>
  texts.map((text, i) => `BT /F1 18 Tf 30 ${top - 30 * i} Td (${text}) Tj ET`).join("\n");

/** A page that is one picture; `picture` is the number of its object. */
export const scanned = (picture: number, more: Partial<Page> & { matrix?: string } = {}): Page => ({
  content: `q ${more.matrix ?? "400 0 0 200 0 0"} cm /Im0 Do Q ${more.content ?? ""}`,
  resources: `/XObject << /Im0 ${picture} 0 R >>`,
  ...(more.box === undefined ? {} : { box: more.box }),
  ...(more.extra === undefined ? {} : { extra: more.extra }),
});

/**
 * A font that is not in the file, whose letters no machine without it can draw.
 * @param first - the number of the first of its objects (`more`).
 */
export function foreignFont(first: number) {
  const more: Part[] = [
    `<< /Type /Font /Subtype /Type0 /BaseFont /SimSun /Encoding /UniGB-UCS2-H /DescendantFonts [${first + 1} 0 R] >>`,
    `<< /Type /Font /Subtype /CIDFontType2 /BaseFont /SimSun /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 2 >> /FontDescriptor ${first + 2} 0 R /DW 1000 >>`,
    "<< /Type /FontDescriptor /FontName /SimSun /Flags 4 /FontBBox [0 -200 1000 900] /ItalicAngle 0 /Ascent 900 /Descent -200 /CapHeight 700 /StemV 80 >>",
  ];
  /** Operators that show a text at a point. */
  const show = (at: string, text = "合计金额") =>
    `BT /F2 30 Tf ${at} Td <${Buffer.from(text, "utf16le").swap16().toString("hex")}> Tj ET`;
  return { more, resources: `/Font << /F1 3 0 R /F2 ${first} 0 R >>`, show };
}
