import { ABROAD } from "#local/model/rules/labels-abroad";
import type { Role } from "#local/model/rules/role";

export interface Label {
  role: Role;
  /** How clearly the words name the role, 0 to 100. */
  strength: number;
}

/**
 * Only letters and digits, lower case, without diacritics; digits inside words become the letters that they resemble.
 * `Sub - T0tal :` becomes `subtotal`.
 */
export function fold(text: string): string {
  return text
    .normalize("NFD")
    .replace(/\p{M}/gu, "")
    .replace(/ß/g, "ss")
    .replace(/œ/g, "oe")
    .toLowerCase()
    .replace(/(?<=[a-z])0|0(?=[a-z]{2})/g, "o")
    .replace(/(?<=[a-z])1(?=[a-z])/g, "l")
    .replace(/(?<=[a-z])5(?=[a-z])/g, "s")
    .replace(/[^a-z0-9]/g, "");
}

/**
 * The first match wins, so narrow patterns come before wide ones: `roundedtotal` before `round`, `totalgst` before
 * `total`. English, Malay and Indonesian, German (with Austria and Switzerland), French; more languages in
 * labels-abroad.ts. The recognizer drops spaces, so a short word counts only at the start or end of the label.
 */
const RULES: [RegExp, Role, number][] = [
  // Identifiers and headings that hold a word of money.
  [/(gst|sst|tax|vat|ust|uid|steuer|tva|npwp)(reg|id|no|nr|nummer|number|payer|code|intra)/, "other", 90],
  [
    /taxinv|invoiceno|receiptno|billno|kassenbon|faktura|rechnungsn|bonnr|belegnr|trnr|approval|autor|terminal/,
    "other",
    90,
  ],
  [
    /points?$|punkte|poin$|payback|^(carte)?fidelit|guenstiger|^cashier|cashback|^table|^guest|^pax/,
    "other",
    80,
  ],
  // How many.
  [
    /(total|jumlah|ttl|jml|noof|numberof|sum)(of)?(items?|qty|quant|pcs|pieces|artic|artik|produ|barang|line)/,
    "count",
    90,
  ],
  [
    /^items?(count|qty|sold|s)?\d*$|itemssold|itemcount|^qty|^quantity|^anzahl(?!ung)|^nombred|^posten|^nbr?e?d?e?(art|lig)|^articles?$|^pcs/,
    "count",
    90,
  ],
  [/^(total)?(includ(es|ed)|inklusive?|termasuk)(gst|sst|tax|vat|mwst|ppn)/, "tax", 70],
  // The amount to be paid in the end.
  [
    /round\w{0,3}total|total(after)?(the)?round(ed|off)|total.*afterround|after(disc|round|adj)|nachrund/,
    "total",
    105,
  ],
  [/total.*before.{0,3}round|^nett$/, "total", 80],
  [/round|rndg|^rnd|pembulatan|bulatkan|pelarasan|pembundaran|rundung|arrondi/, "rounding", 90],
  [
    /uangmuka|anzahlung|acompte|prepa(id|yment)|deposit(paid|dibayar)?$|alreadypaid|bereitsge|dejapaye/,
    "paid",
    85,
  ],
  [
    /restbetrag|offenerbetrag|restzahl|sisatagihan|^sisa|resteapayer|baki(perlu|belum)|outstanding/,
    "due",
    85,
  ],
  [
    /shipping|freight|^delivery|versand|^porto$|fracht|ongkoskirim|ongkir|penghantaran|fraisde(port|livr)/,
    "shipping",
    85,
  ],
  // With or without the tax.
  [/(sub|zwischen|sous|^s)t?.{0,2}(total|summe|ttl|tl$)|jumlahkecil|^zws|^zwsumme|subtotal/, "subtotal", 95],
  [/vat(net|excl)|gstnet|suppl(ies|y)|^taxable|taxableam/, "other", 70],
  [
    /(excl?|ex|exclud\w*|exclusive|before|without|sebelum|ohne|hors|exkl)(of)?(the)?(gst|sst|ta[xk]|vat|ppn|pajak|mwst|ust|tva|svc|serv)/,
    "subtotal",
    60,
  ],
  [
    /totalht|montantht|nettobetrag|nettosumme|nettototal|gesamtnetto|summenetto|^netto(?!tal)|^ht$|^dpp$|grossam|grosstotal|beforedisc|hargajual|warenwert|^net$/,
    "subtotal",
    60,
  ],
  [
    /(discount|disc|diskaun|rabatt|diskon|remise)total|(total|gesamt)\w*(disc|diskon|diskaun|rabatt|nachlass|remise|sav)/,
    "discount",
    95,
  ],
  [/(total|amount|amt|sales?|sum|jumlah)\w*(incl?|inclusive|includ\w*|inkl|termasuk|sudah)/, "total", 95],
  [
    /grandt|granto|^gtot|total(harga)?(pay|yang|due|bayar|pembayaran|tagihan|belanja|akhir|keseluruhan)/,
    "total",
    100,
  ],
  [/payable|(amount|amt|balance|total|sum)(to)?due|balanceto|topay|^due\w{0,3}$|duetotal/, "total", 100],
  [
    /nett?(total|am|sales)|billtotal|totalbill|^billam|finaltotal|finalam|totalam|totalcharge|ordertotal|invoicetotal|totalinvoice/,
    "total",
    100,
  ],
  [
    /(jumlah|jml)(besar|keseluruhan|bayar|perlu|yang|akhir|tagihan)|harusdibayar|tobepaid|^tagihan/,
    "total",
    100,
  ],
  [
    /zuzahl|zahlbetrag|zahlungsbetrag|endbetrag|endsumm|endpreis|rechnungsbetrag|rechnungss|totalbetrag|bruttobetrag|bruttosumme|kaufsumme|kaufbetrag/,
    "total",
    100,
  ],
  [/apayer|totalttc|montantttc|montantdu|totttc|^ttc|^netap/, "total", 100],
  // Given and returned.
  [
    /(?<!ex)change(?!d?item)|kembal|^kmbl|rue?c?kgeld|ruckg|^zuruck|^zurueck|wechselgeld|herausg|^baki|rendu|^monnaie|arendre/,
    "change",
    90,
  ],
  [/geg(eben)?(ec|karte|visa|kredit|giro|debit|maestro|master)/, "card", 85],
  [
    /tender|cashrec|diterima|paycash|cashpay|paidcash|amountpaid|paidam|gegeben|^geg|erhalten|^especes?|barzahl|(jumlah|jml)uang/,
    "cash",
    85,
  ],
  [/^(add)?gratuity|^tips?(am\w*|total)?$|trinkgeld|pourboire/, "tip", 90],
  // Parts.
  [/servicetax|(tax|gst|vat|sst|mwst|tva)(total|am)|restotax|^presto|pajakrest/, "tax", 80],
  [
    /servi[cs]e?(charge|chg|chrg|chr|fee)|svc|srvc|sv(r|c)?(chg|charge|tax)|serv(ice)?ch|^(optional|opt|plus|add|incl)?servi[cs]e?\d*$|scharge|^sc\d{0,3}$|layanan|^bedienung(sgeld|szuschlag)?$|perkhidmatan/,
    "service",
    90,
  ],
  [
    /^(\d{1,2}|total|gesamt|includ\w*|incl|inkl|davon|enth\w*?|zzgl|plus|dont|resto?|sales|local|state|city|government|gov|add)*(gst|sst|vat|ppn|pb1|pbi|pbl|pb01|pb10|pajak|cukai|tax(?!i$)|mwst|ust|mehrwert|umsatzst|steuer|tva|tps|tvq|hst|pst)(?!\w*(invoice|id$))/,
    "tax",
    85,
  ],
  [
    /(^|total|item|line|bill|member|trans\w*|cust\w*|staff|spec\w*)(disc|disk(a|o|au)n)|^potongan|rabatt|nachlass|^remise|^reduction|^rabais|voucher|coupon|gutschein|^promo|^less/,
    "discount",
    85,
  ],
  [/hemat|(you|total)save|savings?$|saved$|ersparnis|economis/, "discount", 50],
  // Means of payment.
  [
    /gopay|^ovo$|shopeepay|linkaja|emoney|flazz|^dana$|paypal|applepay|googlepay|twint|grabpay|touchn|tngew|duitnow|qris|alipay|wechat|ewallet/,
    "wallet",
    80,
  ],
  [
    /visa|mastercard|amex|americanexp|maestro|girocard|eccash|elec?cash|lastschrift|kreditk|kartenzahl|cartebanc|cartebl|bankomat|creditcard|debitcard|contactless|paywave|mydebit|cardpay|cardsale|bankcard|eckarte|sanscontact/,
    "card",
    80,
  ],
  [
    /^(debit|credit|kredit|card|carte|kartu|karte|edc|master|kad|postcard)(?!\w*(note|limit))|^(ec|cb|bca|bni|bri|mandiri|nets|elv)(debit|card|karte|kredit|edc|emv|eur|zahl\w*|$)/,
    "card",
    80,
  ],
  [
    /^cash|cash(idr|rp|rm)?$|tunai|^bar$|^bar(eur|geld|euro|chf)|bargeld|^uang|^bayar|^dibayar|contanti|received$/,
    "cash",
    80,
  ],
  [/^balance$|^bal$|^saldo/, "balance", 60],
  // The total, in its plain words.
  [
    /^(total|ttl|tota[li1]|tatal|totl|tot)(rm|rp|idr|myr|eur|euro|chf|usd|gbp|sgd|en|in|a)*\d{0,2}$/,
    "total",
    85,
  ],
  [
    /^(summe|summ|somme|jumlah|jml|gesamt|gesamtbetrag|gesamtsumme|totaal)(rm|rp|in|eur|euro|chf|idr)*$/,
    "total",
    85,
  ],
  [
    /gesamt(betrag|summe|preis)|totalsales?|salestotal|totalpurchase|totalpenjualan|totaltte|tottte/,
    "total",
    80,
  ],
  [/^total|tota[li]$|^summe|summe$|^jumlah|^ttl|^gesamt|total(rm|rp|eur|euro|chf)?$/, "total", 70],
  [
    /^(amount|montant|betrag|sale|sales|nilai|verkauf|vente|price|prix|preis)(in|rm|rp|eur|euro|chf|reel)*$/,
    "total",
    45,
  ],
  [/^(payment|paid|pay|pembayaran|bezahlt|paye|zahlung|reglement)$/, "total", 40],
];

const ALL = [...ABROAD, ...RULES];

/** Words that OCR often damages by a letter or two, compared by distance where no rule matched. */
const CANONICAL = [
  ...["total", "grandtotal", "subtotal", "totalamount", "nettotal", "totalpayable", "amountdue", "jumlah"],
  ...["totalinclusivegst", "totalsalesinclusivegst", "roundedtotal", "totalrounded", "totalexcludinggst"],
  ...["summe", "gesamtbetrag", "zuzahlen", "zwischensumme", "apayer", "netapayer", "totalttc", "soustotal"],
  ...["rueckgeld", "ruckgeld", "zuruck", "wechselgeld", "kembali", "kembalian", "change", "cashchange"],
  ...[
    "bargeld",
    "gegeben",
    "tunai",
    "cash",
    "cashreceived",
    "tendered",
    "especes",
    "rounding",
    "roundingadj",
  ],
  ...[
    "pembulatan",
    "servicecharge",
    "service",
    "discount",
    "diskon",
    "pajak",
    "visa",
    "mastercard",
    "kartenzahlung",
  ],
];

/** What a label means; undefined for words that name no amount of money. */
export function classify(text: string): Label | undefined {
  const folded = fold(text);
  if (folded.length < 2) return undefined;
  return byRule(folded) ?? byDistance(folded);
}

function byRule(folded: string): Label | undefined {
  for (const [pattern, role, strength] of ALL) if (pattern.test(folded)) return { role, strength };
  return undefined;
}

function byDistance(folded: string): Label | undefined {
  const letters = folded.replace(/\d/g, "");
  if (letters.length < 4 || letters.length > 24) return undefined;
  let best: { word: string; distance: number } | undefined;
  for (const word of CANONICAL) {
    const allowed = word.length >= 9 ? 2 : 1;
    if (Math.abs(word.length - letters.length) > allowed) continue;
    const distance = editDistance(letters, word);
    if (distance <= allowed && distance < (best?.distance ?? Number.POSITIVE_INFINITY))
      best = { word, distance };
  }
  const label = best && byRule(best.word);
  // "total" differs by one letter from words of the trade, so a damaged label is weaker than a clean one.
  return label && best ? { role: label.role, strength: label.strength - 12 * best.distance } : undefined;
}

/** Levenshtein distance. */
export function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
