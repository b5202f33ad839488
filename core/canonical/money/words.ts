/**
 * Words beside numbers that show that the number is not an amount, or is an amount in another measure. No such list is
 * complete. The rule for unknown words limits what it misses (printed.ts): at most four letters, and a number in the
 * form of money.
 */

/** Pieces and measures: `5 pcs`, `0.456 kg`, `250 ml`. */
const units =
  "pc pcs pce pk pkt pck ea each stk stck st pz pza pzas ud uds un und unid szt szt. ks kus db kpl kos gab vnt tk. adet ad buah bh bks btl pax set dz doz box ctn btl. can cs bag pair prs шт шт. уп kg kgs g gr grm gm gms mg lb lbs oz floz t to l lt ltr ltrs ml cl dl hl gal pt qt m m2 m3 cm mm km mi ft. in yd sqm sqft ha kw kwh mwh wh w kva v a ah hz kcal kj cal cc кг г мг л мл м см мм км куб квт kpl. كجم كغ غم جم. لتر مل قطعة قطع حبة كيلو ชิ้น อัน ขวด กก กิโล ลิตร กรัม किग्रा नग पीस मिली";

/** Times, days and months. */
const times =
  "h hr hrs hour hours min mins sec secs s ms d day days wk wks mo mth mths yr yrs year years std stunde uhr klo kl godz ч час мин сек น ص م am pm utc gmt est edt pst pdt cst cet cest mez wib wita wit ist sgt mon tue tues wed thu thur fri sat sun mo. di mi do fr. sa so lun mar mer jeu ven sam dim mie mié jue vie sab sáb dom seg ter qua qui sex пн вт ср чт пт сб вс jan feb mar apr may jun jul aug sep sept oct nov dec januar februar märz mrz april mai juni juli okt dez ene enero feb abr ago set dic gen mag giu lug ott fév avr juin juil aoû août déc fev out mei des ogos agu ags янв фев мар апр май июн июл авг сен сент окт ноя дек sty lut kwi maj cze lip sie wrz paź lis gru oca şub nis haz tem ağu eyl eki kas ara";

/** Numbers of things and people, cards, references. */
const references =
  "qty quantity menge anz anzahl stück jml cant ctd qte qté kol количество no nr num nro nº n° № id ref tel fax ph phone mob cell pin pos tid mid rrn auth appr aid tsi tvr stan batch inv invoice rec rcpt bill chk check order ord ticket tkt bon table tbl tisch mesa room zi zimmer gate seat bus line lane till kasse caja reg pump pumpe item art artikel sku ean upc gtin plu lot page pg seite pag p. s. § vol ver vers v. rev zip cp plz apt unit zone level floor flr block blk visa mc amex card karte jcb maestro debit credit mada elo upi neft iban bic ust nip nif cif rfc ruc cnpj cpf siret gstin pan abn acn aadhaar guest guests gast gäste cover covers pax cvr crew host hst opr op usr user srv server clerk trx txn seq shift pts pt. points punkte miles step size gr. grade iso fig chap abs";

/** Labels: the text contains more than the value. */
const labels =
  "total tot ttl subtotal sub sum summe gesamt suma totale totaal jumlah toplam итого cash bar cash: bargeld efectivo espèces tunai nakit change rest cambio rückgeld kembali tax mwst vat gst iva tva kdv pst hst qst ppn pph tip tips trinkgeld disc discount rabatt svc fee due paid bal balance free gratis save off from ab bis to till und and et y or per pro je x × up";

/** Words that make an amount a thousand times larger or more, approximate, or a credit. */
const multiples =
  "k k. mio mill mln mrd mn m. bn bil tn tsd tys тыс млн млрд rb ribu jt juta lac lakh lakhs crore crores cr cr. dr dr. thousand million hundred dozen mil millones milhões 万 萬 億 亿 千 百 만 억 천 circa ca approx about est.";

/** Small coins: the number counts hundredths. */
const hundredths = "¢ ct cts cent cents centavos centimes céntimos cêntimos pence paise öre øre";
/** Small coins after a whole amount and its mark: `250 руб. 50 коп.`, `12 zł 50 gr`. */
const coins = `${hundredths} коп копеек копейки копейка gr groszy bani ст стотинки ps p öre øre kuruş kr krş hal lipa para тийин тыйын тиын kop ct. ¢`;

/** Words beside an amount that do not concern its currency: with and without tax, only, each. */
const remarks =
  "ttc ht tvac htva hors incl inkl incl. inc excl exkl exc net netto brutto nett only ohne ivaincl à 税込 税込み 税抜 税抜き 税別 内税 外税 内 外 軽 込 軽減 非 含 只 整 正 含税 金 金額 也 일금 정";

/** The price of one: `12.50 each`. Beside whole numbers these count pieces. */
const singly = "ea each";
/** Names of taxes after the word that tells whether they are included: `12,50 inkl. MwSt.` */
const taxes = "vat gst mwst mwst. ust ust. tax iva i.v.a. tva btw moms mva sst hst kdv ppn ндс";

const set = (...texts: string[]) => new Set(texts.join(" ").split(" "));
let sets:
  | {
      denied: Set<string>;
      remarks: Set<string>;
      singly: Set<string>;
      taxes: Set<string>;
      hundredths: Set<string>;
      coins: Set<string>;
    }
  | undefined;

function known() {
  sets ??= {
    denied: set(units, times, references, labels, multiples),
    remarks: set(remarks),
    singly: set(singly),
    taxes: set(taxes),
    hundredths: set(hundredths),
    coins: set(coins),
  };
  return sets;
}

/** True for a word that shows that the number beside it is not an amount, in any case, with or without its point. */
export function deny(word: string): boolean {
  const text = word.toLowerCase();
  return known().denied.has(text) || known().denied.has(text.replace(/\.$/, ""));
}

export function isRemark(word: string): boolean {
  // "1,080円(税込)": the brackets belong to the remark.
  const text = /^\(.+\)$/.test(word) ? word.slice(1, -1) : word;
  return known().remarks.has(text.toLowerCase().replace(/\.$/, ""));
}

/** True for a word that makes a price the price of one piece. */
export function isSingly(word: string): boolean {
  return known().singly.has(word.toLowerCase().replace(/\.$/, ""));
}

/** True for a tax's name after "incl." and similar words. */
export function isTaxRemark(before: string, word: string): boolean {
  return /^(?:in[ck]l?|ex[ck]l?)\.?$/i.test(before) && known().taxes.has(word.toLowerCase());
}

/** True for the name of a hundredth of a currency's unit. */
export function isHundredth(word: string): boolean {
  return known().hundredths.has(word.toLowerCase().replace(/\.$/, ""));
}

/** True for the name of a small coin that may follow a whole amount, its mark and two digits. */
export function isCoin(word: string): boolean {
  return known().coins.has(word.toLowerCase().replace(/\.$/, ""));
}
