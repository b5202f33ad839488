/**
 * Languages by currency: those of the places that pay with it, by number of speakers, with a script or a region only
 * where that changes names of months, weekdays or halves of the day. English is left out because papers of every
 * country use it. `XXX`: languages without a country. Source: CLDR 48 (available locales, currencies, populations); a
 * test regenerates the list.
 */
const table = `
AED ar | AFN fa-AF ps uz-Arab | ALL sq | AMD hy | AOA pt-AO ln | ARS es | AWG nl | AZN az az-Cyrl | BAM bs bs-Cyrl
hr sr-BA sr-Latn-BA | BDT bn ccp | BHD ar | BIF rn fr | BND ms | BOB es qu | BRL pt es-BR kgp yrl | BTN dz | BWP tn
| BYN ru be | BZD es-BZ | CAD fr-CA csw | CDF fr sw ln lu | CHF de gsw fr it pt-CH rm wae | CLP es-CL | CNY zh
yue-Hans yue ug za ii mn bo ko kk-Arab | COP es-CO yrl-CO | CRC es | CUP es-CU | CVE pt-CV kea | CZK cs | DJF fr so
ar | DKK da fo kl | DOP es | DZD ar-DZ fr kab | EGP ar | ERN ti ar | ETB am om so ti | EUR de fr it es nl el ca
pt-PT de-AT bg nds fi sk hr gl sv lt sl sq lmo ga lv oc eu et vec fy ast sr-ME sc de-IT mt lb pms gsw tr br lij scn
ksh sr-XK sr-Latn-XK pt-LU sv-AX fur sr-Cyrl-ME hsb dsb se-FI smn ie | GBP cy ga gd gv kw | GEL ka os | GHS ak ee
gaa ha ff-Adlm ff | GMD ff-Adlm ff | GNF fr ff nqo ff-Adlm | GTQ es-GT | HKD zh-Hant yue zh | HNL es | HTG fr | HUF
hu | IDR id jv su ms | ILS he ar-PS ar | INR hi bn-IN te mr ta pa ur gu kn ml or sat as mai bho ks kok bgc ne
ks-Deva kok-Latn mni sd-Deva doi xnr brx hi-Latn raj dz ccp bo kxv kxv-Deva kxv-Orya kxv-Telu sa | IQD ar-IQ ckb ku
az lrc syr | IRR fa az mzn lrc ckb ku | ISK is | JOD ar-JO ar-PS | JPY ja | KES sw ki luy luo kam kln guz mer mas
ebu so dav teo om saq | KGS ky ru | KHR km | KMF ar fr | KPW ko | KRW ko | KWD ar | KZT kk ru | LAK lo | LBP ar-LB |
LKR si ta | LRD vai ff-Adlm ff vai-Latn | LSL st | LYD ar | MAD ar-MA fr-MA zgh tzm shi shi-Latn ar | MDL ro ru |
MGA mg fr | MKD mk sq | MMK my shn | MNT mn | MOP zh-Hant yue zh pt-MO | MRU ar-MR fr ff ff-Adlm | MUR fr mfe | MXN
es-MX | MYR ms zh zh-Hant ta | MZN pt-MZ vmw seh mgh | NAD af naq | NGN yo pcm ha ig ff-Adlm ff | NIO es | NOK nb no
nn se | NPR ne | NZD mi | OMR ar | PAB es-PA | PEN es-PE qu | PHP fil ceb es | PKR ur pa-Arab sd ps | PLN pl szl prg
| PYG es | QAR ar | RON ro | RSD sr sr-Latn | RUB ru tt ba ce cv sah bua os tyv | RWF rw fr | SAR ar | SCR fr | SDG
ar ha | SEK sv se | SGD zh ms ta | SLE ff-Adlm ff | SOS so ar | SRD nl | SSP ar nus | STN pt-ST | SYP ar-SY ku fr
syr | THB th shn | TJS tg | TMT tk | TND ar-TN fr | TOP to | TRY tr ku az | TWD zh-Hant | TZS sw kde bez ksb mas asa
lag jmc rof vun rwk sbp | UAH uk ru yi | UGX sw lg nyn cgg xog teo | USD es-US es sn fr qu es-PA es-PR nd pt-TL haw
chr lkt nl | UYU es-UY | UZS uz uz-Cyrl | VES es yrl-VE | VND vi | VUV fr | XAF fr ar sg es ff ewo nnh bas mua kkj
ln dua mgo jgo ksf agq nmg yav pt-GQ ff-Adlm | XCG nl | XOF fr wo ff ha bm dje pt-GW ee yo-BJ dyo ses khq blo twq
ff-Adlm | XPF fr | YER ar | ZAR zu xh af st nso tn naq | ZMW bem | ZWG sn nd | XXX eo es-419 ia tok`;

let parsed: Map<string, string[]> | undefined;

function byCurrency(): Map<string, string[]> {
  parsed ??= new Map(
    table
      .replaceAll(/\s+/g, " ")
      .split("|")
      .map((row) => {
        const [currency = "", ...tags] = row.trim().split(" ");
        return [currency, tags] as const;
      }),
  );
  return parsed;
}

/** Languages of the places that pay with a currency, by number of speakers; empty where only English is used. */
export function of(currency: string): readonly string[] {
  return byCurrency().get(currency) ?? [];
}

let every: { main: readonly string[]; others: readonly string[] } | undefined;

/** Every language: `main` has the first ones of each currency, `others` the rest. */
export function all(): { main: readonly string[]; others: readonly string[] } {
  if (every) return every;
  const rows = [...byCurrency().values()];
  const main = new Set(rows.flatMap(([first]) => first ?? []));
  every = { main: [...main], others: [...new Set(rows.flat())].filter((tag) => !main.has(tag)) };
  return every;
}

const scripts = new Map<string, RegExp>();
const ideographic = /\p{Script=Han}|\p{Script=Hangul}|\p{Script=Hiragana}/u;

/** True if the word is in the language's script, so that it may be one of its words. */
export function writes(tag: string, word: string): boolean {
  let script = scripts.get(tag);
  if (script === undefined) {
    const code = new Intl.Locale(tag).maximize().script ?? "Zzzz";
    script = /^(?:Hans|Hant|Jpan|Kore)$/.test(code) ? ideographic : new RegExp(`\\p{Script=${code}}`, "u");
    scripts.set(tag, script);
  }
  return script.test(word);
}
