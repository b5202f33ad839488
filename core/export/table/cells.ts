/**
 * Cells of a worksheet in SpreadsheetML (ECMA-376 part 1, 18.3 and 18.8). Numbers are numbers, dates are days, and a
 * text is always a text, whatever it looks like: only an `f` element is a formula, and none is written here.
 */

/** Excel's own limits ("Excel specifications and limits"): rows of a sheet, UTF-16 units of a cell. */
export const maxRows = 1_048_576;
export const maxText = 32_767;

/** Numbers with more decimals are shown without a fixed number of decimals. */
const maxDecimals = 15;
/** IEEE 754: a spreadsheet does not keep more digits. */
const maxDigits = 15;

/** Indexes into `cellXfs` of the styles below. */
const style = { plain: 0, header: 1, text: 2, date: 3, decimals: 4 } as const;

/** Days are shown in ISO 8601 form, amounts with as many decimals as are printed. */
export function styles(): string {
  const formats = [
    '<numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/>',
    ...Array.from({ length: maxDecimals + 1 }, (_, decimals) => {
      const code = decimals === 0 ? "#,##0" : `#,##0.${"0".repeat(decimals)}`;
      return `<numFmt numFmtId="${165 + decimals}" formatCode="${code}"/>`;
    }),
  ];
  const xf = (numFmt: number, font = 0) =>
    `<xf numFmtId="${numFmt}" fontId="${font}" fillId="0" borderId="0" xfId="0"${numFmt === 0 ? "" : ' applyNumberFormat="1"'}${font === 0 ? "" : ' applyFont="1"'}/>`;
  // Format 49 is "@", so that text typed over a text stays text.
  const cells = [
    xf(0),
    xf(0, 1),
    xf(49),
    xf(164),
    ...Array.from({ length: maxDecimals + 1 }, (_, i) => xf(165 + i)),
  ];
  const font = '<sz val="11"/><name val="Calibri"/><family val="2"/>';
  return [
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n',
    '<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">',
    `<numFmts count="${formats.length}">${formats.join("")}</numFmts>`,
    `<fonts count="2"><font>${font}</font><font><b/>${font}</font></fonts>`,
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>',
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>',
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>',
    `<cellXfs count="${cells.length}">${cells.join("")}</cellXfs>`,
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>',
    "</styleSheet>",
  ].join("");
}

/** The letters of a column, counted from 0: A, B, … Z, AA. */
export function letters(column: number): string {
  const rest = Math.floor(column / 26) - 1;
  return (rest < 0 ? "" : letters(rest)) + String.fromCharCode(65 + (column % 26));
}

/** Text that Excel would decode as an escaped character; its underscore is escaped so that the text is kept. */
const looksEscaped = /_(?=x[0-9A-Fa-f]{4}_)/g;
/** Characters that XML cannot contain, and the carriage return, which XML does not preserve. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const unwritable = /[\x01-\x08\x0b-\x1f\ufffe\uffff]/g;
const markup: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

/**
 * A text for an XML element of a workbook (ECMA-376 part 1, 22.9.2.19, ST_Xstring): every reader decodes the same text.
 * NUL and lone surrogates, which no spreadsheet supports, become U+FFFD.
 */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replaceAll("\0", "\ufffd")
    .replace(looksEscaped, "_x005F_")
    .replace(unwritable, (char) => `_x${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}_`)
    .replace(/[&<>]/g, (char) => markup[char] ?? char);
}

/** The text as it fits into a cell, and whether it was truncated; a truncated text says so at its end. */
export function fitting(text: string): { text: string; isCut: boolean } {
  if (text.length <= maxText) return { text, isCut: false };
  const said = ` … (cut: these are ${text.length} characters, and a cell holds ${maxText}; the JSON results have all)`;
  // A character that is cut in half becomes U+FFFD.
  return { text: text.slice(0, maxText - said.length).toWellFormed() + said, isCut: true };
}

/** A text cell. Spaces and line breaks are kept. */
export function text(ref: string, value: string, isHeader = false): string {
  const index = isHeader ? style.header : style.text;
  return `<c r="${ref}" s="${index}" t="inlineStr"><is><t xml:space="preserve">${escaped(value)}</t></is></c>`;
}

export const integer = (ref: string, value: number) => `<c r="${ref}"><v>${value}</v></c>`;
export const boolean = (ref: string, value: boolean) => `<c r="${ref}" t="b"><v>${value ? 1 : 0}</v></c>`;

const plainDecimal = /^-?\d+(?:\.\d+)?$/;

/**
 * A number cell from canonical text, digit by digit; shown with as many decimals as are printed, if that is known.
 * Undefined for numbers of over 15 digits, which a spreadsheet would round.
 */
export function number(ref: string, value: string, decimals: number | undefined): string | undefined {
  if (!plainDecimal.test(value)) return undefined;
  const significant = value.replace(/^-?0*\.?0*|\./g, "").length;
  if (significant > maxDigits) return undefined;
  const index =
    decimals === undefined ? style.plain : style.decimals + Math.min(maxDecimals, Math.max(0, decimals));
  return `<c r="${ref}" s="${index}"><v>${value}</v></c>`;
}

const isoDate = /^(\d{4})-(\d{2})-(\d{2})$/;
const dayMs = 86_400_000;
/**
 * 1899-12-30 is day 0, which is right for days from March 1900 on; before that, Excel counts a day that did not exist.
 */
const epochMs = Date.UTC(1899, 11, 30);
const firstDay = 61;

/** A date cell with the day's serial number. Undefined if the value is not a date or is before March 1900. */
export function date(ref: string, value: string): string | undefined {
  const [, year, month, day] = isoDate.exec(value) ?? [];
  if (year === undefined) return undefined;
  const at = Date.UTC(Number(year), Number(month) - 1, Number(day));
  const serial = (at - epochMs) / dayMs;
  if (serial < firstDay || new Date(at).toISOString().slice(0, 10) !== value) return undefined;
  return `<c r="${ref}" s="${style.date}"><v>${serial}</v></c>`;
}
