/** What a caller accepts: `Accept` and `Accept-Encoding` (RFC 9110, 12.5). */

interface Range {
  readonly name: string;
  readonly quality: number;
}

/** The ranges of such a header. An invalid weight counts as 1, so that no caller is refused for a typing error. */
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

/** The weight of a media type; the most specific range decides. */
function qualityOf(type: string, ranges: readonly Range[]): number {
  const group = `${type.split("/")[0]}/*`;
  for (const name of [type, group, "*/*"]) {
    const range = ranges.find((one) => one.name === name);
    if (range !== undefined) return range.quality;
  }
  return 0;
}

/**
 * The media type of `offered` with the highest weight in `Accept`. The first one if the header is missing, several have
 * the same weight, or none is accepted.
 */
export function preferred<T extends string>(accept: string | undefined, offered: readonly [T, ...T[]]): T {
  const ranges = rangesOf(accept ?? "*/*");
  return offered.reduce((best, type) => (qualityOf(type, ranges) > qualityOf(best, ranges) ? type : best));
}

/** Whether gzip may be sent. Not without the header: old programs show the compressed bytes. */
export function takesGzip(acceptEncoding: string | undefined): boolean {
  const ranges = rangesOf(acceptEncoding ?? "");
  const range =
    ranges.find(({ name }) => name === "gzip" || name === "x-gzip") ??
    ranges.find(({ name }) => name === "*");
  return range !== undefined && range.quality > 0;
}
