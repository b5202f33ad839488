import { customOf, type DateOrder } from "./day-order.ts";

/**
 * The currencies in use where a paper comes from, by its address, tax number and telephone number. Only evidence that
 * can mean a single country counts: a country's name on a line of its own at the end of an address; the state and ZIP
 * code in the USA, Canada and Australia; a tax number in a form that one country has; an international telephone
 * prefix. All of it must agree. Names that are also places elsewhere (Georgia) are left out, as is +1, which twenty
 * countries share.
 */

export type Source = "country" | "tax_id" | "phone";

export interface Use {
  /** ISO 4217; several if several are in everyday use (CLDR 48, and the peer currencies of tills). */
  currencies: readonly string[];
  source: Source;
  /** The orders in which dates are written there (day-order.ts). */
  dates: readonly (readonly DateOrder[])[] | undefined;
}

/** A text of the result that may identify the country, and what kind of text it is. */
export interface Clue {
  source: Source;
  text: string;
}

/**
 * `currencies dial names…`: English and native names, `_` for a blank; `-` where the prefix is shared. `:d` where dates
 * begin with the day although those of the first currency do not (CLDR 48: es-EC, es-SV, pt-TL, en-VG, en-TC, nl-BQ).
 */
const countries = `
EUR 43 austria österreich
EUR 32 belgium belgique belgië
EUR 385 croatia hrvatska
EUR 357 cyprus κύπρος
EUR 372 estonia eesti
EUR 358 finland suomi
EUR 33 france
EUR 49 germany deutschland
EUR 30 greece ελλάδα hellas
EUR 353 ireland éire
EUR 39 italy italia
EUR 371 latvia latvija
EUR 370 lithuania lietuva
EUR 352 luxembourg luxemburg
EUR 356 malta
EUR 31 netherlands the_netherlands nederland
EUR 351 portugal
EUR 421 slovakia slovensko
EUR 386 slovenia slovenija
EUR 34 spain españa
EUR 377 monaco
EUR 376 andorra
EUR 382 montenegro crna_gora
BGN,EUR 359 bulgaria българия
GBP 44 united_kingdom uk u.k. great_britain england scotland wales northern_ireland
CHF 41 switzerland schweiz suisse svizzera
CHF 423 liechtenstein
NOK 47 norway norge
SEK 46 sweden sverige
DKK 45 denmark danmark
DKK 299 greenland kalaallit_nunaat
DKK 298 faroe_islands føroyar
ISK 354 iceland ísland
PLN 48 poland polska
CZK 420 czech_republic czechia česká_republika česko
HUF 36 hungary magyarország
RON 40 romania românia
MDL 373 moldova republica_moldova
RSD 381 serbia srbija србија
BAM 387 bosnia_and_herzegovina bosna_i_hercegovina
MKD 389 north_macedonia македонија
ALL,EUR 355 albania shqipëri
UAH 380 ukraine україна
BYN 375 belarus беларусь
RUB 74 russia россия russian_federation российская_федерация
RUB 78 -
RUB 79 -
KZT 77 kazakhstan казахстан қазақстан
KGS 996 kyrgyzstan кыргызстан
UZS 998 uzbekistan узбекистан oʻzbekiston
TJS 992 tajikistan таджикистан тоҷикистон
GEL 995 საქართველო
AMD 374 armenia հայաստան
AZN 994 azerbaijan azərbaycan
TRY 90 turkey türkiye turkiye
ILS 972 israel ישראל
SAR 966 saudi_arabia ksa kingdom_of_saudi_arabia السعودية المملكة_العربية_السعودية
AED 971 united_arab_emirates uae u.a.e. الإمارات الإمارات_العربية_المتحدة
QAR 974 qatar قطر
KWD 965 kuwait الكويت
BHD 973 bahrain البحرين
OMR 968 oman عمان
JOD 962 jordan الأردن
EGP 20 egypt مصر
LBP,USD 961 lebanon لبنان
IQD,USD 964 iraq العراق
IRR 98 iran ایران
YER,USD,SAR 967 yemen اليمن
SYP,USD,TRY 963 syria سوريا
MAD 212 morocco maroc المغرب
DZD 213 algeria algérie الجزائر
TND 216 tunisia tunisie تونس
LYD 218 libya ليبيا
SDG 249 sudan السودان
INR 91 india bharat भारत
PKR 92 pakistan پاکستان
BDT 880 bangladesh বাংলাদেশ
LKR 94 sri_lanka
NPR,INR 977 nepal नेपाल
BTN,INR 975 bhutan
MVR,USD 960 maldives
AFN,USD 93 afghanistan افغانستان
JPY 81 japan 日本 日本国
CNY 86 china 中国 中國 p.r._china p.r.china people's_republic_of_china
HKD 852 hong_kong hongkong 香港
MOP,HKD 853 macau macao 澳門
TWD 886 taiwan 台灣 臺灣
KRW 82 south_korea korea republic_of_korea 대한민국
MNT 976 mongolia монгол_улс
IDR 62 indonesia
MYR 60 malaysia
SGD 65 singapore
BND,SGD 673 brunei brunei_darussalam
THB 66 thailand ประเทศไทย
VND 84 vietnam viet_nam việt_nam
PHP 63 philippines pilipinas
KHR,USD 855 cambodia
LAK,THB,USD 856 laos lao_pdr
MMK 95 myanmar
USD:d 670 timor-leste
AUD 61 australia
NZD 64 new_zealand aotearoa
PGK 675 papua_new_guinea
FJD 679 fiji
WST 685 samoa
TOP 676 tonga
SBD 677 solomon_islands
VUV 678 vanuatu
XPF 687 new_caledonia nouvelle-calédonie
XPF 689 french_polynesia polynésie_française
USD - united_states united_states_of_america usa u.s.a. u.s. puerto_rico
CAD - canada
MXN 52 mexico méxico
BRL 55 brazil brasil
ARS 54 argentina
CLP 56 chile
COP 57 colombia
PEN 51 peru perú
UYU 598 uruguay
PYG 595 paraguay
BOB 591 bolivia
VES,USD 58 venezuela
USD:d 593 ecuador
CRC 506 costa_rica
GTQ 502 guatemala
HNL 504 honduras
NIO,USD 505 nicaragua
USD:d 503 el_salvador
PAB,USD 507 panama panamá
BZD,USD 501 belize
CUP,USD 53 cuba
HTG,USD 509 haiti haïti
DOP - dominican_republic república_dominicana
JMD - jamaica
TTD - trinidad_and_tobago
BBD,USD - barbados
BSD,USD - bahamas the_bahamas
BMD,USD - bermuda
KYD,USD - cayman_islands
USD:d - british_virgin_islands turks_and_caicos_islands turks_and_caicos bonaire
XCD - grenada antigua_and_barbuda saint_lucia st._lucia dominica saint_kitts_and_nevis
GYD 592 guyana
SRD,USD 597 suriname
AWG,USD 297 aruba
XCG,USD,ANG 599 curaçao curacao
ZAR 27 south_africa suid-afrika
NAD,ZAR 264 namibia
BWP 267 botswana
LSL,ZAR 266 lesotho
SZL,ZAR 268 eswatini swaziland
MZN 258 mozambique moçambique
ZMW 260 zambia
MWK 265 malawi
ZWG,ZWL,USD 263 zimbabwe
AOA 244 angola
KES 254 kenya
TZS 255 tanzania
UGX 256 uganda
RWF 250 rwanda
BIF 257 burundi
ETB 251 ethiopia
ERN 291 eritrea
SOS,USD 252 somalia
DJF 253 djibouti
NGN 234 nigeria
GHS 233 ghana
XOF 221 senegal sénégal
XOF 225 ivory_coast côte_d'ivoire
XOF 229 benin bénin
XOF 228 togo
XOF 223 mali
XOF 226 burkina_faso
XOF 227 niger
XOF 245 guinea-bissau
XAF 237 cameroon cameroun
XAF 241 gabon
XAF 242 congo-brazzaville
XAF 235 chad tchad
XAF 240 equatorial_guinea guinea_ecuatorial
GNF 224 guinée
CDF,USD 243 dr_congo
SLE,SLL 232 sierra_leone
LRD,USD 231 liberia
GMD 220 gambia the_gambia
CVE,EUR 238 cape_verde cabo_verde
STN 239 são_tomé
MRU 222 mauritania mauritanie
MUR 230 mauritius maurice
SCR 248 seychelles
MGA 261 madagascar
KMF 269 comoros
GIP,GBP 350 gibraltar
FKP,GBP 500 falkland_islands
SHP,GBP 290 saint_helena st_helena
`;

/** Tax numbers in a form that one country has, as they stand at the end of the text. Source: the VIES forms and national ones. */
const taxForms: readonly (readonly [RegExp, string])[] = [
  [/\bATU\d{8}$/, "EUR"],
  [/\bDE\d{9}$/, "EUR"],
  [/\bFR[0-9A-Z]{2}\d{9}$/, "EUR"],
  [/\bIT\d{11}$/, "EUR"],
  [/\bES[0-9A-Z]\d{7}[0-9A-Z]$/, "EUR"],
  [/\bNL\d{9}B\d{2}$/, "EUR"],
  [/\bBE[01]\d{9}$/, "EUR"],
  [/\bPT\d{9}$/, "EUR"],
  [/\bIE\d[0-9A-Z]\d{5}[A-Z]{1,2}$/, "EUR"],
  [/\b(?:FI|LU|SI|MT)\d{8}$/, "EUR"],
  [/\b(?:EL|EE)\d{9}$/, "EUR"],
  [/\bSK\d{10}$/, "EUR"],
  [/\b(?:LV|HR)\d{11}$/, "EUR"],
  [/\bLT(?:\d{9}|\d{12})$/, "EUR"],
  [/\bCY\d{8}[A-Z]$/, "EUR"],
  [/\bBG\d{9,10}$/, "BGN,EUR"],
  [/\bPL\d{10}$/, "PLN"],
  [/\bCZ\d{8,10}$/, "CZK"],
  [/\bHU\d{8}$/, "HUF"],
  [/\bRO\d{6,10}$/, "RON"],
  [/\bSE\d{10}01$/, "SEK"],
  [/\bDK\d{8}$/, "DKK"],
  [/\bGB(?:\d{9}|\d{12})$/, "GBP"],
  [/\bCHE\d{9}(?:MWST|TVA|IVA)?$/, "CHF"],
  [/\b(?:NO)?\d{9}MVA$/, "NOK"],
  [/\b\d{2}[A-Z]{5}\d{4}[A-Z][0-9A-Z]Z[0-9A-Z]$/, "INR"],
  [/\b3\d{13}3$/, "SAR"],
  [/\b\d{9}RT\d{4}$/, "CAD"],
  [/\bT\d{13}$/, "JPY"],
];
/** Tax numbers that are recognized by their own points and dashes. */
const printedTaxForms: readonly (readonly [RegExp, string])[] = [
  [/(?<![\d.])\d{2}\.\d{3}\.\d{3}\/\d{4}-\d{2}$/, "BRL"],
  [/(?<![\d-])\d{2}-\d{8}-\d$/, "ARS"],
  [/(?<![\d.])\d{2}\.\d{3}\.\d{3}\.\d-\d{3}\.\d{3}$/, "IDR"],
  [/(?<![\d-])\d{3}-\d{2}-\d{5}$/, "KRW"],
  [/(?<![\dA-Z])M\d-\d{7}-\d$/, "SGD"],
];

/**
 * States of the USA with the first three digits of their ZIP codes (USPS, 3-digit ZIP Code prefix matrix). By the
 * letters alone, Milano MI 20121, Berlin DE 10115 and Casablanca MA 20250 would match.
 */
const states = `
AL 350-369|AK 995-999|AZ 850-865|AR 716-729|CA 900-961|CO 800-816|CT 060-069|DC 200 202-205 569|DE 197-199|FL 320-349
GA 300-319 398-399|HI 967-968|ID 832-838|IL 600-629|IN 460-479|IA 500-528|KS 660-679|KY 400-427|LA 700-714|ME 039-049
MD 206-219|MA 010-027 055|MI 480-499|MN 550-567|MS 386-397|MO 630-658|MT 590-599|NE 680-693|NV 889-898|NH 030-038
NJ 070-089|NM 870-884|NY 005 063 100-149|NC 270-289|ND 580-588|OH 430-459|OK 730-749|OR 970-979|PA 150-196|PR 006-009
RI 028-029|SC 290-299|SD 570-577|TN 370-385|TX 733 750-799 885|UT 840-847|VT 050-059|VA 201 220-246|WA 980-994
WV 247-268|WI 530-549|WY 820-831`;
let zips: Map<string, readonly (readonly [number, number])[]> | undefined;

function isZipOf(state: string, zip: string): boolean {
  zips ??= new Map(
    states
      .trim()
      .split(/[|\n]/)
      .map((line) => {
        const [name = "", ...ranges] = line.split(" ");
        return [
          name,
          ranges.map((range) => {
            const [from = "", to = from] = range.split("-");
            return [Number(from), Number(to)] as const;
          }),
        ];
      }),
  );
  const prefix = Number(zip.slice(0, 3));
  return zips.get(state)?.some(([from, to]) => from <= prefix && prefix <= to) ?? false;
}

const postal: readonly (readonly [RegExp, string])[] = [
  [/[ ,](?:ON|QC|BC|AB|MB|SK|NS|NB|NL|PE|YT|NT|NU),? [A-Z]\d[A-Z] ?\d[A-Z]\d$/, "CAD"],
  // First digits as assigned by Australia Post: SA, WA and NT precede other numbers elsewhere.
  [/[ ,](?:NSW,? [12]|VIC,? [38]|QLD,? [49]|TAS,? 7|ACT,? [02]|WA,? 6|SA,? 5|NT,? 0)\d{3}$/, "AUD"],
];

function inTheStates(address: string): boolean {
  const [, state = "", zip = ""] = /[ ,]([A-Z]{2})\.?,? (\d{5})(?:-\d{4})?$/.exec(address) ?? [];
  return isZipOf(state, zip);
}

/** Longest end of an address that is searched. */
const maxLength = 400;

let tables: { names: Map<string, string>; dials: Map<string, string> } | undefined;

function known() {
  if (tables) return tables;
  tables = { names: new Map(), dials: new Map() };
  for (const line of countries.trim().split("\n")) {
    const [currencies = "", dial = "", ...names] = line.split(" ");
    if (dial !== "-") tables.dials.set(dial, currencies);
    for (const name of names) tables.names.set(name.replaceAll("_", " "), currencies);
  }
  return tables;
}

/**
 * The currencies in use where the paper comes from, and the clue that shows it. If several clues agree, the order of
 * preference is address, tax number, telephone. Null without a clue, or if two clues contradict each other. Never
 * throws.
 */
export function of(clues: readonly Clue[]): Use | null {
  const found = clues.flatMap(({ source, text }) => {
    const currencies = read[source](text.trim().slice(-maxLength));
    return currencies === undefined ? [] : [{ currencies, source }];
  });
  const order: readonly Source[] = ["country", "tax_id", "phone"];
  const [first] = found.toSorted((a, b) => order.indexOf(a.source) - order.indexOf(b.source));
  if (!first || found.some(({ currencies }) => currencies !== first.currencies)) return null;
  const [list = "", own] = first.currencies.split(":");
  const used = list.split(",");
  // These countries write the day first, as the euro area does.
  return { currencies: used, source: first.source, dates: customOf(own === undefined ? used[0] : "EUR") };
}

const read: Record<Source, (text: string) => string | undefined> = {
  country(address) {
    const lines = address.split(/[,\n;]/).map((line) => line.trim());
    const last = lines.at(-1) ?? "";
    // A postal code may precede or follow the name: "Singapore 238801".
    const name = last.toLowerCase().replace(/^[\d -]+(?=\D)|(?<=\D)[ -]\d[\d -]*$|\.$/g, "");
    return (
      known().names.get(name) ??
      known().names.get(`${name}.`) ??
      postal.find(([form]) => form.test(address))?.[1] ??
      (inTheStates(address) ? "USD" : undefined)
    );
  },
  tax_id(number) {
    const text = number.toUpperCase();
    const own = printedTaxForms.find(([form]) => form.test(text))?.[1];
    if (own !== undefined) return own;
    // Blanks, points and dashes within it vary, and a label may stand before it: "VAT 3000…", "USt-IdNr. DE 123 456 789".
    const behindDigits = text.replace(/(?<=\d)[ .-](?=[\dA-Z])/g, "");
    const joined = behindDigits.replace(/(?<=[A-Z])[ .-](?=\d)/g, "");
    return taxForms.find(([form]) => form.test(behindDigits) || form.test(joined))?.[1];
  },
  phone(number) {
    const digits = /(?:^|[^\d+])(?:\+|00)[ ]?([1-9][\d ().-]{6,18})$/.exec(number)?.[1]?.replace(/\D/g, "");
    if (digits === undefined) return undefined;
    return [3, 2].flatMap((length) => known().dials.get(digits.slice(0, length)) ?? [])[0];
  },
};
