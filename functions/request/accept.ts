/** What a caller takes: `Accept` and `Accept-Encoding` (RFC 9110, 12.5). */

interface Range {
  readonly name: string;
  readonly quality: number;
}

/** The ranges of such a header; a weight that is none counts as 1, so that nobody is refused for a slip. */
function rangesOf(header: string): Range[] {
  return header
    .split(",")
    .slice(0, 50)
    .map((part) => {
      const [name = "", ...parameters] = part.split(";").map((text) => text.trim().toLowerCase());
      const weight = parameters.find((parameter) => /^q\s*=/.test(parameter))?.replace(/^q\s*=\s*/, "");
      const quality = Number(weight ?? 1);
      return { name, quality: quality >= 0 && quality <= 1 ? quality : 1 };
    })
    .filter(({ name }) => name !== "");
}

/** How much a media type is wanted: the most specific range decides. */
function qualityOf(type: string, ranges: readonly Range[]): number {
  const group = `${type.split("/")[0]}/*`;
  for (const name of [type, group, "*/*"]) {
    const range = ranges.find((one) => one.name === name);
    if (range !== undefined) return range.quality;
  }
  return 0;
}

/** The media type of `offered` that `Accept` wants most; the first where it says nothing, or wants several alike, or none. */
export function preferred<T extends string>(accept: string | undefined, offered: readonly [T, ...T[]]): T {
  const ranges = rangesOf(accept ?? "*/*");
  return offered.reduce((best, type) => (qualityOf(type, ranges) > qualityOf(best, ranges) ? type : best));
}

/** Whether gzip may be sent. Without the header it is not: old programs show the bytes as they come. */
export function takesGzip(acceptEncoding: string | undefined): boolean {
  const ranges = rangesOf(acceptEncoding ?? "");
  const range =
    ranges.find(({ name }) => name === "gzip" || name === "x-gzip") ??
    ranges.find(({ name }) => name === "*");
  return range !== undefined && range.quality > 0;
}
