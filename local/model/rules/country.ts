import type { Row } from "#local/model/rules/rows";

/**
 * Determines the currency of a paper whose sign the recognizer does not know: it sees nothing, or a letter, for € £ ₹
 * ₺. Evidence are words of the country: the name and number of its tax, its postal codes, its domains, the names of
 * its forms. Several of them must agree.
 */

/** Weight that a currency needs, and by how much it must lead: a guess is worse than none. */
const ENOUGH = 2;
const LEAD = 2;

/**
 * Evidence for a currency, and its weight: 3 for what only one country prints (a tax number in its form, a form's
 * name), 2 for what is nearly as certain, 1 for a word that several countries share. Sources: the tax authorities'
 * number formats (VIES for the EU), postal formats of the UPU, what tills of the country print.
 */
const SIGNS: [string, number, RegExp][] = [
  // Britain: VAT numbers, a postal code at the end of an address.
  ["GBP", 3, /\bGB\s?\d{3}\s?\d{4}\s?\d{2}\b/],
  ["GBP", 2, /\p{L}{3}[\s,.]+[A-Z]{1,2}\d[A-Z\d]?\s?\d[ABD-HJLNP-UW-Z]{2}\s*$/mu],
  ["GBP", 2, /\.co\.uk\b|\.org\.uk\b|\+44\s?\(?\d|\b(?:united kingdom|england|scotland|northern ireland)\b/i],
  ["GBP", 1, /\bvat\s?(?:reg(?:istration)?)?\W?\s?(?:no|number)?\b.{0,4}\d{3}\s?\d{4}\s?\d{2}\b/i],
  // The euro: Ireland, France, Italy, Germany and Austria, the Netherlands and Belgium, Spain, Portugal, Finland.
  ["EUR", 3, /\bIE\s?\d[A-Z\d+*]\d{5}[A-Z]{1,2}\b|\+353|\beircode\b/i],
  ["EUR", 3, /\bco\.\s?(?:kildare|dublin|cork|galway|kerry|mayo|wicklow|meath|clare|louth|donegal)\b/i],
  ["EUR", 3, /\b(?:siret|siren|rcs)\b.{0,16}\d{3}|\bFR\s?\d{2}\s?\d{3}\s?\d{3}\s?\d{3}\b/i],
  ["EUR", 3, /\btva\b.{0,8}\b5[.,]50?\s?%|intracom\w*\W{0,3}FR\s?\d{11}/i],
  ["EUR", 3, /\bP\.?\s?IVA\b|\bpartita\s?iva\b|documento\s?commerciale|scontrino|totale\s?complessivo/i],
  ["EUR", 3, /\b(?:DE|ATU)\s?\d{8,9}\b|\bust\.?\W?id|\bsteuer\W?nr|\bsteuernummer\b/i],
  ["EUR", 3, /\bNL\s?\d{9}\s?B\s?\d{2}\b|\bBE\s?0\d{3}\.?\d{3}\.?\d{3}\b/i],
  ["EUR", 3, /factura\s?simplificada|\b[nc]\.?i\.?f\b\W{0,4}(?:ES)?\W?[A-HJ-NP-SUVW]\W?\d{7}[\dA-J]\b/i],
  ["EUR", 3, /\bcontribuinte\b|fatura.{0,3}simplificada|\bNIF\W{0,3}(?:PT)?\W?\d{9}\b|\bATCUD\b/i],
  ["EUR", 3, /\bY-?tunnus\b|\byhteens[aä]\b|\bALV\b.{0,6}\d{1,2}(?:[.,]\d+)?\s?%/i],
  ["EUR", 2, /\bm\W?wst\b|\bmehrwertsteuer\b/i],
  ["EUR", 2, /\bbtw\W{0,4}(?:nr|hoog|laag|bedrag|over|\d{1,2}(?:[.,]\d+)?\s?%)/i],
  ["EUR", 1, /\bt\.?v\.?a\b|\bttc\b/i],
  ["EUR", 1, /\bI\.?V\.?A\b/],
  ["EUR", 2, /(?:@|www\.)[\w.-]+\.(?:ie|fr|de|at|it|es|nl|be|pt|fi|gr)\b/i],
  // Countries with the same words for the tax, told apart by their own numbers and rates.
  ["CHF", 5, /\bCHE\W?\d{3}\W?\d{3}\W?\d{3}\b|(?:@|www\.)[\w.-]+\.ch\b/i],
  ["CHF", 5, /\b(?:mwst|tva|iva)\b.{0,12}\b(?:8[.,]1|7[.,]7|2[.,]6|3[.,]8)0?\s?%/i],
  ["MXN", 5, /\bR\.?F\.?C\.?\W{0,3}[A-Z&]{3,4}\W?\d{6}/i],
  ["ARS", 5, /\bC\.?U\.?I\.?T\b/i],
  ["BRL", 5, /\bCNPJ\b|\bCPF\b/],
  ["CLP", 5, /\bR\.?U\.?T\b.{0,3}\d{1,2}\.\d{3}/],
  ["PEN", 5, /\bR\.?U\.?C\b.{0,3}\d{11}/],
  ["COP", 5, /\bNIT\b.{0,3}\d{3}/],
  ["MAD", 5, /\bICE\W{0,3}\d{15}\b/],
  ["RON", 5, /\bC\.?[IU]\.?[FI]\.?\W{0,3}RO\W?\d|\bbon\s?fiscal\b|\btotal\s?lei\b/i],
  ["PLN", 3, /\bparagon\b|\bPTU\b|\bsprzeda[zż]\b/i],
  ["PLN", 2, /\bNIP\W{0,3}\d{3}\W?\d/i],
  ["CZK", 3, /\bDI[CČ]\W{0,3}CZ\W?\d|\bDPH\b.{0,6}\d{1,2}(?:[.,]\d+)?\s?%/i],
  ["HUF", 3, /\bnyugta\b|\bad[oó]sz[aá]m\b|\b[oö]sszesen\b/i],
  ["DKK", 3, /\bCVR\W?(?:nr)?\W{0,3}\d{2}/i],
  ["NOK", 3, /\bforetaksregisteret\b|\b\d{3}\s?\d{3}\s?\d{3}\s?MVA\b|\bMVA\b.{0,6}\d{1,2}(?:[.,]\d+)?\s?%/i],
  ["SEK", 2, /\borg\W?\s?(?:nr|nummer)\W{0,3}\d{6}-\d{4}\b/i],
  ["SEK", 1, /\bmoms\b|moms\s?\d{1,2}\s?%/i],
  ["SEK", 1, /\bkontokort\b|\bbankkort\b|\bvarav\s?moms|\batt betala\b/i],
  // Turkey and India.
  ["TRY", 3, /\bKDV\b|\bTOPKDV\b|\bvergi\s?(?:no|dairesi|d\.)|\bmersis\b/i],
  ["TRY", 1, /\btoplam\b|\bfi[sş]\s?n[o0]\b/i],
  ["INR", 3, /\bGSTIN?\b\W{0,4}(?:no)?\W{0,4}\d{2}[A-Z]{5}\d{4}[A-Z]|\b[CSI]GST\b|\bfssai\b/i],
  ["INR", 2, /\bIndia\b|\bUPI\b|\bPAN\W{0,3}[A-Z]{5}\d{4}[A-Z]\b/],
  // Dollars and rands: their sign is read, or a letter; their country is in the words.
  ["AUD", 3, /\bA\.?B\.?N\.?\W{0,4}\d{2}\s?\d{3}\s?\d{3}\s?\d{3}\b|\.com\.au\b/i],
  ["NZD", 3, /\.co\.nz\b|\bnew zealand\b/i],
  ["ZAR", 3, /\.co\.za\b|\bsouth africa\b/i],
  ["CAD", 3, /\bHST\b.{0,4}\d|\bT\.?V\.?Q\b.{0,8}\d/],
];

/** The ISO code that the paper's words agree on; undefined where they are few, or speak for several. */
export function currencyOf(rows: Row[]): string | undefined {
  const text = rows.map((row) => row.text).join("\n");
  const weights = new Map<string, number>();
  for (const [code, weight, pattern] of SIGNS) {
    if (pattern.test(text)) weights.set(code, (weights.get(code) ?? 0) + weight);
  }
  // The recognizer reads £ as an f in front of an amount; florins are not printed any more.
  if ([...text.matchAll(/(?:^|[\s:@])f(?=\d{1,3}(?:,\d{3})*\.\d{2}(?!\d))/gim)].length >= 2) {
    weights.set("GBP", (weights.get("GBP") ?? 0) + 2);
  }
  const [first, second] = [...weights].sort((a, b) => b[1] - a[1]);
  if (first === undefined || first[1] < ENOUGH) return undefined;
  return first[1] - (second?.[1] ?? 0) >= Math.min(LEAD, first[1]) ? first[0] : undefined;
}
