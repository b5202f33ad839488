import type { Num } from "#local/model/rules/amounts";
import type { Printed } from "#local/model/rules/items";
import type { Labeled } from "#local/model/rules/labeled";
import { fold } from "#local/model/rules/labels";
import type { Row } from "#local/model/rules/rows";

/** What follows a label: letters, digits and the signs inside document numbers, with at least one digit. */
const VALUE =
  "\\s*[.:#*]*\\s*(?=[\\w/-]*\\d)([A-Za-z]{0,6}-?\\d[\\w/.-]*\\d|[A-Za-z0-9]+[\\w/-]*\\d[\\w/-]*|\\d)";
const NUMBER_WORD = "\\s*(?:no|nr|n[°º]|num(?:ber|mer)?|id|#)";

const PATTERNS: Record<string, RegExp[]> = {
  receipt_number: [
    labeled(
      "(?:receipt|rcpt|bill|inv(?:oice)?|doc(?:ument)?|check|chk|order|slip|cash inv|tax inv\\w*)",
      true,
    ),
    labeled("(?:bon|beleg|rechnungs?|kassenbon|quittungs?|vorgangs?)-?", true),
    labeled("(?:struk|nota|resit|facture|ticket|trans(?:aksi|action)?|trx|bukti)", true),
    labeled("(?:no|nr|n°)[.\\s]*(?:struk|nota|resit|bon|bill|faktur|transaksi|trx)", false),
    labeled("(?:receipt|bill|invoice|check|bon|struk|nota)\\s*[:#]", false),
    labeled("(?:\\bCB|\\bRN)\\s*[#:]", false),
  ],
  invoice_number: [
    labeled("(?:tax\\s*)?inv(?:oice)?", true),
    labeled("rechnungs?-?", true),
    labeled("(?:no|nr)[.\\s]*(?:faktur|invois|invoice|facture)", false),
    labeled("(?:facture|faktur|invois)", true),
    labeled("invoice\\s*[:#]", false),
  ],
  purchase_order: [
    labeled("(?:p\\.?o\\.?|purchase\\s*order|your\\s*order|ihre\\s*bestellung|bestell|commande)", true),
    labeled("(?:p\\.o\\.|your\\s*order|ihre\\s*bestellung)", false),
  ],
  approval_code: [
    labeled(
      "(?:appr(?:oval)?|auth(?:ori[sz]ation)?|autor(?:isation)?|genehmigungs?|kode\\s*approval|kod\\s*kelulusan)[-\\s.]*(?:code|nr|no|num|kode)?\\.?",
      false,
    ),
    labeled("(?:code\\s*d'autor\\.?|no\\.?\\s*d'autorisation|AS-Proc-Code)", false),
  ],
  reference_number: [
    labeled("(?:ref(?:erence)?|rrn|trace|ta|beleg|transaction|trans)-?", true),
    labeled("(?:rrn|stan|trace|no\\.?\\s*ref|no\\.?\\s*rujukan)", false),
  ],
  terminal_id: [labeled("(?:terminal)[-\\s]*(?:id|nr|no)?\\.?", false), labeled("\\bTID", false)],
  iban: [
    /\b([A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){3,7}(?:\s?[A-Z0-9]{1,4})?)\b/,
    labeled("(?:account|konto|rekening|akaun)", true),
  ],
  bic: [/(?:bic|swift)\W*([A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?)\b/i],
};

function labeled(words: string, withNumberWord: boolean): RegExp {
  return new RegExp(`(?<![a-z])${words}${withNumberWord ? NUMBER_WORD : ""}${VALUE}`, "i");
}

/** Document, terminal and bank numbers after their labels. */
export function find(rows: Row[]): Map<string, Printed> {
  const found = new Map<string, Printed>();
  for (const [key, patterns] of Object.entries(PATTERNS)) {
    const value = first(rows, patterns, key === "receipt_number");
    if (value) found.set(key, value);
  }
  return found;
}

/** Tax registrations are numbers of the shop, not of the receipt. */
const REGISTRATION = /(gst|sst|vat|tax|ust|steuer|npwp|tva|reg)\W*(id|reg|no|nr)/i;

function first(rows: Row[], patterns: RegExp[], ownNumber: boolean): Printed | undefined {
  for (const pattern of patterns) {
    for (const row of rows) {
      if (ownNumber && REGISTRATION.test(row.text)) continue;
      const match = pattern.exec(row.text);
      if (match?.[1]) return { text: match[1], confidence: confidenceOf(row) };
    }
  }
  return undefined;
}

const BRANDS: [RegExp, RegExp][] = [
  [/visa/, /visa/i],
  [/mastercard|debitmc/, /master\s?card/i],
  [/maestro/, /maestro/i],
  [/girocard/, /girocard/i],
  [/amex|americanexpress/, /amex|american\s?express/i],
  [/vpay/, /v\s?pay/i],
  [/bankomat/, /bankomat/i],
  [/unionpay/, /union\s?pay/i],
];

interface Payment {
  method: Printed | undefined;
  brand: Printed | undefined;
  last4: Printed | undefined;
}

/** How it was paid, in the printed words beside the amount of the card, the wallet or the cash. */
export function payment(
  rows: Row[],
  labels: Labeled[],
  cash: Num | undefined,
  card: Num | undefined,
): Payment {
  const number = card ?? cash;
  const paid = labels.find((each) => each.number === number && /card|wallet|cash/.test(each.role));
  const text = paid?.label
    .replace(/^(?:geg\.?|gegeben|kartenzahlung|payment|pay|paid by)\s+(?=\p{L})/iu, "")
    .replace(/[\s:]*(?<!\p{L})(?:EURO?|RM|Rp|IDR|CHF|GBP|USD)?[^\p{L}\p{N}]*$/iu, "")
    .replace(/^[^\p{L}]+/u, "")
    .trim();
  const method = paid && text ? { text, confidence: paid.number.confidence } : undefined;
  return { method, brand: brandOf(rows), last4: last4Of(rows) };
}

function brandOf(rows: Row[]): Printed | undefined {
  for (const row of rows) {
    const folded = fold(row.text);
    const brand = BRANDS.find(([pattern]) => pattern.test(folded))?.[1].exec(row.text);
    if (brand) return { text: brand[0], confidence: confidenceOf(row) };
  }
  return undefined;
}

function last4Of(rows: Row[]): Printed | undefined {
  for (const row of rows) {
    const match = /[xX*#•]{2,}[\s*xX#•-]*(\d{4})(?!\d)/.exec(row.text);
    if (match?.[1]) return { text: match[1], confidence: confidenceOf(row) };
  }
  return undefined;
}

function confidenceOf(row: Row): number {
  return Math.min(...row.cells.map((cell) => cell.confidence));
}
