import * as Dates from "#local/model/rules/dates";
import type { Printed } from "#local/model/rules/items";
import { fold } from "#local/model/rules/labels";
import type { Row } from "#local/model/rules/rows";

interface Party {
  name: Printed | undefined;
  address: Printed | undefined;
  phone: Printed | undefined;
  email: Printed | undefined;
  website: Printed | undefined;
  taxId: Printed | undefined;
}

interface Parties {
  merchant: Party;
  customer: Party;
}

/** Facts about the shop are at most this many rows from the top. */
const HEAD_ROWS = 14;
const ADDRESS_ROWS = 6;
const TITLE =
  /^(tax|cash|sales|simplified|official|payment|duplicate|customer|merchant|guest)*(invoice|receipt|bill|copy|quittung|rechnung|kassenbon|beleg|bon|kassenbeleg|ticket|ticketclient|facture|struk|nota|resit|welcome|willkommen|bienvenue|selamatdatang|check)s?(no\w*)?$/;
const COMPANY =
  /\b(sdn|bhd|gmbh|ltd|limited|llc|inc|corp|plc|enterprise|trading|restaurant|restoran|pt|cv|ag|kg|ohg|e\.?k|sarl|sas|sa|eurl|co|s\/b|berhad|apotheke|hotel|cafe|shop|store|mart|markt)\b/i;
const SUFFIX_ROW =
  /^(\W*(sdn|bhd|gmbh|ltd|limited|llc|inc|co|kg|ag|berhad)\b)|(sdn|bhd|gmbh)\W*(\(?[\w-]+\)?)?$/i;
const ADDRESS =
  /\b(no|lot|jalan|jln|jl|lorong|taman|persiaran|lebuh|bandar|seksyen|road|rd|street|st|avenue|ave|av|lane|drive|blvd|boulevard|rue|place|chemin|strasse|stra[sßB]e|str|weg|platz|allee|gasse|ring|kuala|lumpur|selangor|johor|penang|jakarta|bali|ruko|kec|kel|kota|floor|suite|unit|block|blok)\b|str\.|stra[sßB]e|\b\d{4,5}\b|\b[A-Z]{1,2}\d{1,2}[A-Z]?\s?\d[A-Z]{2}\b/i;
const DOCUMENT = /invoice|receipt|rechnung|beleg|bestell|order|cashier|kasse|facture|faktur|\bbill|\bdoc/i;
const STREET =
  /(?:stra[sßB]e|str\.|weg|platz|allee|gasse|\b(?:jalan|jln|road|street|avenue|rue))[\s.,]*\d|^\d+\W.*(?:road|street|avenue|\brue\b)/i;
const LEGAL_FORM = /\b(gmbh|sdn\.? ?bhd|ltd|llc|sarl|co\. ?kg|\bAG\b|e\.?k\.)/i;
const PHONE_LABEL =
  /(?:tel(?:p|efon|ephone|epon)?|phone|fon|hp|mobile|call|ph|t[ée]l|whatsapp|wa)\b\s*(?:no)?\s*[.:#]*\s*(\+?[\d(][\d\s()./-]{5,18}\d)/i;
const PHONE_BARE =
  /(?<![\w/.-])(\+?\d{2,4}[\s/-]\d{2,4}[\s-]?\d{3,5}(?:\s?\d{2,4})?|\(\d{2,4}\)\s?\d{3,4}[\s-]?\d{3,5})(?![\w/])/;
const EMAIL = /[\w.+-]+@[\w-]+(?:\.[\w-]+)+/;
const WEBSITE = /(?:https?:\/\/|www\.)[\w./-]+\w/i;
const TAX_ID: RegExp[] = [
  /(?:gst|sst|vat|tax)\W*(?:id|reg|registration|payer)?\W*(?:id|no|number|nr)?\W*[.:#]*\s*([A-Z]{0,3}\d[\d-]{6,16}\d)/i,
  /(?:ust|u\.?st|uid|mwst|vat)\W*(?:id)?\W*(?:nr|no|nummer)?\W*[.:#]*\s*((?:DE|ATU|CHE)\W?[\d .-]{7,15}\d)/i,
  /(?:steuer\W*(?:nr|nummer)|st\W*nr|ust\W*id\W*nr)\W*[.:#]*\s*(\d[\d/ ]{7,16}\d)/i,
  /npwp\W*[.:#]*\s*(\d[\d.-]{12,20}\d)/i,
  /(?:tva|siret|siren|n\W*tva)\W*(?:intra\w*)?\W*[.:#]*\s*((?:FR)?\s?\d[\d ]{8,17}\d)/i,
  /\b(DE\s?\d{9}|ATU\d{8}|FR\s?\d{11}|GB\s?\d{9})\b/,
];
const CUSTOMER =
  /^\W*(bil{1,2}(?:ed)?\s?to|sold\s?to|ship\s?to|customer|client|kunde|rechnungs(?:empf\w*|adresse)|rechnung an|factur[ée]{1,2} [àa]|kepada|pelanggan)\b\W*/i;
const CUSTOMER_ROWS = 6;

/** The seller, in the rows above `end`, and the buyer, if the paper names one. */
export function find(rows: Row[], end: number): Parties {
  const customerAt = rows.findIndex(
    (row) => CUSTOMER.test(row.text) && !/copy|kopie|service/i.test(row.text),
  );
  const customerRows = customerAt < 0 ? [] : rows.slice(customerAt, customerAt + 1 + CUSTOMER_ROWS);
  const headRows = Math.min(HEAD_ROWS, end, customerAt < 0 ? HEAD_ROWS : Math.max(1, customerAt));
  const others = rows.filter((row) => !customerRows.includes(row));
  return { merchant: describe(rows.slice(0, headRows), others), customer: describeCustomer(customerRows) };
}

function describe(head: Row[], all: Row[]): Party {
  const nameAt = head.findIndex((row) => isName(row));
  const nameRow = head[nameAt];
  const suffix = head[nameAt + 1];
  const joined =
    nameRow &&
    suffix &&
    !COMPANY.test(nameRow.text) &&
    SUFFIX_ROW.test(suffix.text) &&
    !/\d{4}/.test(suffix.text.slice(0, 4));
  const nameRows = nameRow ? [nameRow, ...(joined && suffix ? [suffix] : [])] : [];
  // If the top is a logo, the company may be named at the end.
  const signed = nameRow ? undefined : all.slice(head.length).find((row) => LEGAL_FORM.test(row.text));
  const oneLine = nameRow && splitLine(nameRow);
  if (oneLine) return { ...oneLine, ...contacts(all, head) };
  return {
    name: join(nameRows, " ") ?? (signed && join([signed], "")),
    address: join(addressRows(head.slice(nameAt + nameRows.length)), ", "),
    ...contacts(all, head),
  };
}

/** `Sample Ltd, 5 Example Road, 12345 Town` in one row. */
function splitLine(row: Row, text = row.text): Pick<Party, "name" | "address"> | undefined {
  const comma = text.search(/[,;|]\s/);
  const rest = text.slice(comma + 1).trim();
  if (comma < 3 || !ADDRESS.test(rest) || !/\d/.test(rest)) return undefined;
  const confidence = confidenceOf(row);
  return { name: { text: text.slice(0, comma).trim(), confidence }, address: { text: rest, confidence } };
}

function describeCustomer(rows: Row[]): Party {
  const [first, ...others] = rows;
  if (!first) return { name: undefined, address: undefined, ...contacts([], []) };
  const oneLine = splitLine(first, first.text.replace(CUSTOMER, "").replace(/^[\s:.]+/, ""));
  if (oneLine) return { ...oneLine, ...contacts([], []) };
  const own = first.text.replace(CUSTOMER, "").replace(/^[\s:.]+/, "");
  const name =
    own.length > 2 ? { text: own, confidence: confidenceOf(first) } : join(others.slice(0, 1), " ");
  const rest = own.length > 2 ? others : others.slice(1);
  return { name, address: join(addressRows(rest), ", "), ...contacts([], []) };
}

function isName(row: Row): boolean {
  const folded = fold(row.text);
  const letters = row.text.replace(/[^\p{L}]/gu, "").length;
  if (letters < 3 || letters < row.text.length * 0.4 || confidenceOf(row) < 0.7) return false;
  if (TITLE.test(folded) || EMAIL.test(row.text) || WEBSITE.test(row.text)) return false;
  if (/^\d{4,6}\s?\p{L}/u.test(row.text)) return false;
  // A street with its number, unless the company is named beside it.
  if (STREET.test(row.text) && !COMPANY.test(row.text)) return false;
  return !PHONE_LABEL.test(row.text);
}

function addressRows(rows: Row[]): Row[] {
  const found: Row[] = [];
  for (const row of rows) {
    const stop =
      PHONE_LABEL.test(row.text) || TAX_ID.some((each) => each.test(row.text)) || EMAIL.test(row.text);
    if (found.length > 0 && (stop || found.length >= ADDRESS_ROWS)) break;
    if (stop || TITLE.test(fold(row.text))) continue;
    const isAddress = ADDRESS.test(row.text) && Dates.find(row.text).length === 0 && !DOCUMENT.test(row.text);
    if (!isAddress && found.length > 0) {
      // A city alone between two rows of address; otherwise the address is over.
      const next = rows[rows.indexOf(row) + 1];
      if (!next || !ADDRESS.test(next.text) || /[:#]/.test(row.text)) break;
    }
    if (isAddress || found.length > 0) found.push(row);
  }
  return found;
}

function contacts(rows: Row[], head: Row[]): Pick<Party, "phone" | "email" | "website" | "taxId"> {
  const first = (patterns: RegExp[], some = rows): Printed | undefined => {
    for (const pattern of patterns) {
      for (const row of some) {
        const match = pattern.exec(row.text);
        if (match) return { text: (match[1] ?? match[0]).trim(), confidence: confidenceOf(row) };
      }
    }
    return undefined;
  };
  return {
    phone: first([PHONE_LABEL]) ?? first([PHONE_BARE], head),
    email: first([EMAIL]),
    website: first([WEBSITE]),
    taxId: first(TAX_ID),
  };
}

function join(rows: Row[], separator: string): Printed | undefined {
  if (rows.length === 0) return undefined;
  return {
    text: rows.map((row) => row.text).join(separator),
    confidence: Math.min(...rows.map(confidenceOf)),
  };
}

function confidenceOf(row: Row): number {
  return Math.min(...row.cells.map((cell) => cell.confidence));
}
