/**
 * Currency marks as printed beside amounts, and the ISO 4217 codes that each may stand for. Sources: CLDR 48's symbols
 * and narrow symbols of every currency in the locales of its own regions; everyday words and abbreviations on receipts
 * (docs/values.md lists the sources of those that CLDR does not have).
 */

export interface Mark {
  /** ISO 4217; several if currencies share the mark, empty if it has no code (tomans). */
  codes: readonly string[];
  /** The meaning of the mark without other evidence: `£` is sterling. Null for marks that are too ambiguous. */
  alone: string | null;
}

const dollars =
  "USD,CAD,AUD,NZD,SGD,HKD,TWD,MXN,BND,CLP,COP,ARS,BBD,BMD,BSD,BZD,CUP,DOP,FJD,GYD,JMD,KYD,LRD,NAD,SBD,SRD,TTD,UYU,XCD,ZWL,BRL,NIO,MOP,TOP,WST,CVE";

/**
 * `codes marks…`, one entry per line; `!` after a code makes it the mark's default meaning. Compared in lower case,
 * without spaces, points and apostrophes.
 */
const anyCase = `
EUR € eur euro euros ευρώ ευρω евро евра євро euró eura evra evro eiro eurai eurot euroa يورو ევრო եվրո 欧元 歐元 유로 ユーロ
GBP!,EGP,SSP,SYP,LBP,SDG,GIP,FKP,SHP £
GBP poundsterling poundssterling britishpound britishpounds uk£ £gb gbp£ gbp sterling stg £stg 英鎊 英镑
FKP £fk fk£ fl£
GIP £gi gi£
SHP £sh sh£
EGP e£ £e eg£ جم جنيه
LBP l£ £lb £l لل
SYP s£ لس
SSP ss£
SDG جس
${dollars} $ dollar dollars dólar dólares dolar
USD us$ $us u$s u$d usd usdollar usdollars americandollar americandollars 美元 美金 미국달러
CAD canadiandollar canadiandollars ca$ $ca can$ $can cdn$ cdn cad$ 加元 加幣
AUD australiandollar australiandollars a$ au$ $au aus$ aud$ 澳元 澳幣
NZD newzealanddollar newzealanddollars nz$ $nz nzd$ 紐元
SGD singaporedollar singaporedollars s$ sg$ $sg sgd$ 新加坡元 坡币
HKD hongkongdollar hongkongdollars hk$ $hk hkd$ 港元 港幣 港币
TWD nt$ $nt twd$ ntd ntd$ 新台幣 新臺幣 新台币 台幣 臺幣
MXN mx$ $mx mex$ mxn$ m$n
BND,BSD b$
BND bn$ $bn bnd$
BSD bs$ $bs bsd$
BMD bm$ $bm bd$ bmd$
BBD bb$ $bb bds$ bbd$
BZD bz$ $bz bzd$
BRL r$ brl$ reais
ARS ar$ $ar ars$
CLP cl$ $cl clp$ ch$
COP co$ $co col$ cop$
UYU $u uy$ $uy uyu$ ur$
CAD,NIO c$
NIO córdobas cordobas
CUP cu$ $cu cup$
DOP rd$ do$ dop$
JMD j$ jm$ ja$ jmd$
TTD tt$ $tt ttd$
XCD ec$ xcd$
GYD g$ gy$ $gy gyd$
SRD sr$ $sr srd$
KYD ci$ ky$ $ky kyd$
LRD,LTL l$
LRD lr$ $lr ld$ lrd$
NAD n$ na$ $na nad$
FJD f$ fj$ $fj fjd$
SBD si$ sb$ $sb sbd$
TOP t$ $t pa'anga
WST ws$ $ws sat$ wst$
MOP mop$ 澳門元 澳门元 葡幣
ZWL zw$ zwl$
ZWG zig
ARS,CLP,COP,CUP,DOP,MXN,PHP,UYU peso pesos
JPY,CNY ¥
JPY,KRW \\
JPY 円 円也 円税込 圓也 yen japaneseyen jp¥ 日元 日圓 日円 엔
CNY cn¥ rmb¥ rmb cny¥ yuan 人民币 人民幣 块
CNY,TWD,HKD,MOP,SGD 元 元整 元正
TWD,HKD,CNY,MOP,JPY 圓 圆
KRW!,KPW ₩ 원 원정 won
IDR rp rupiah 印尼盾
MYR rm ringgit
INR ₹ indianrupee indianrupees রু রুপি રૂ రూ ರೂ രൂ ਰੁ ଟଙ୍କା
INR,NPR रु रू रुपये रुपए रुपया रुपैयाँ
NPR नेरू नेरु nrs nr₨
LKR රු slrs
INR,LKR ரூ
INR,PKR روپے روپیہ روپئیہ
PKR ر pk₨ pkrs
INR,PKR,LKR,NPR,MUR,SCR rs ₨ rupee rupees roupies
BDT ৳ tk taka টাকা
BTN nu ngultrum
MVR rf mrf rufiyaa
SEK,NOK,DKK,ISK kr kronor kroner krónur
SEK skr
NOK nkr
DKK dkr
ISK íkr ikr
CHF!,RWF,XOF,XAF,KMF,DJF,BIF,GNF,CDF,XPF fr frs
CHF swissfranc swissfrancs sfr chf franken fränkli stutz
XOF,XAF,KMF,DJF,BIF,GNF,CDF,RWF,XPF,CHF franc francs
XOF,XAF fcfa cfa cfaf frcfa frscfa 𞤅𞤊𞤀 𞤊𞤅𞤊𞤀
XPF fcfp cfpf cfp fxpf
KMF fcom
GNF 𞤊𞤘 ߿ frg
BIF fbu frbu
DJF fdj frdj
RWF frw rwfr amafaranga
PLN zł zl pln złotych zlotych złoty zloty złote
CZK kč kc kčs korun koruna koruny
HUF ft forint
RON!,MDL lei leu lej
BGN лв лева lv leva
RUB!,BYN руб рубль рубля рублей р
RUB ₽
UAH ₴ грн гривень гривня гривні hrn
BYN,ETB br
ETB ብር birr
KZT ₸ тг тенге теңге
KGS ⃀
KGS,TJS,UZS сом som
UZS soʻm so'm soum сўм сум
TJS сомонӣ сомони somoni смн
TMT тмт
AZN ₼ ман манат
AZN,TMT manat
AMD ֏ դր դրամ драм dram
GEL ₾ ლ ლარი лари lari
MNT ₮ төг төгрөг tögrög tugrik 蒙古图格里克
TRY ₺ tl ytl
ILS ₪ שח שקל שקלים nis
RSD дин динара динар din dinara rsd
MKD ден денари den denari
HRK kn kuna kune
ALL lekë lek leke
VND ₫ đ vnđ đồng dong vnd 越南盾
THB ฿ บ บาทถ้วน baht thaibaht บาท thb
PHP ₱ php piso phpeso
KHR ៛ riel
LAK ₭ ກີບ kip
MMK ကျပ် kyat kyats
NGN ₦ naira
GHS gh₵ ₵ gh¢ ghc cedi cedis
KES ksh kshs
TZS tsh tshs
UGX ush ushs
SOS sosh
KES,TZS,UGX,SOS sh shs shilling shillings shilingi
ERN nfk nakfa
ZAR rand
BWP pula
ZMW,MWK kwacha
ZMW kw
GMD dalasi
SZL emalangeni lilangeni
LSL maloti loti
MZN mtn meticais metical
AOA kz kwanza kwanzas
MGA ariary
STN dobras dobra
CVE escudos escudo esc
MUR roupie
PGK kina
PYG ₲ guaraníes guaranies guaraní
BOB,VES bs
BOB bolivianos boliviano
VES bss bsf bsd bolívares bolivares
PEN s/ soles nuevossoles
GTQ quetzales quetzal
HNL lempiras lempira lps
CRC ₡ colones colón
CRC,GHS ¢
PAB b/ balboas balboa
HTG gourdes gourde gdes gde
AWG afl
AWG,XCG,ANG ƒ fl florin
XCG cg
ANG naf nafl
AED دإ درهمإماراتي dhsaed
AED,MAD dh dhs dirham dirhams درهم
MAD دم
SAR رس ريالسعودي ⃁
QAR رق
OMR رع
YER ري
IRR ریال رإ
SAR,OMR,QAR,YER,IRR ريال riyal riyals rial rials
SAR,IRR,OMR,QAR,YER ﷼
KWD دك kd
BHD دب
JOD دأ jd
IQD دع
LYD دل
TND دت
DZD دج
KWD,BHD,JOD,IQD,LYD,TND,DZD دينار dinar dinars
LBP,SYP ليرة
MRU أم ouguiya
AFN ؋ افغانی افغانۍ afs afghani
- تومان toman tomans uf bitcoin btc ₿
`;

/** Marks that are words, units or tax codes in another case: compared as printed, without spaces and points. */
const exactCase = `
ZAR R
GTQ Q
BWP,PHP P
HNL,MDL,RON,ALL,SZL,LSL L
SOS S
SZL E
LSL M
GMD D
HTG G
MMK,PGK,ZMW K
XOF,XAF,XPF,CHF,KMF,DJF,BIF,GNF,CDF,RWF F
NGN,NAD N
BAM KM КМ
MRU UM
MWK MK
ZMW ZK
RWF,MVR RF
RWF,CHF FR
GNF FG
KMF CF
CDF,KMF FC
DZD DA
TND DT
VUV VT Vt
EGP LE
SLE Le
SYP LS
LBP LL
SAR,SCR SR
QAR QR
BHD BD
LYD LD
OMR RO
STN Db
MGA Ar
PYG Gs GS
MMK Ks KS
INR,PKR,LKR,NPR Re
MZN MT Mt
`;

let tables: { anyCase: Map<string, Mark>; exactCase: Map<string, Mark> } | undefined;

function parse(text: string): Map<string, Mark> {
  const table = new Map<string, Mark>();
  for (const line of text.split("\n")) {
    const [list = "", ...marks] = line.split(" ");
    const listed = list === "-" ? [] : list.split(",");
    const codes = listed.map((code) => code.replace("!", ""));
    const mark = { codes, alone: listed.find((code) => code.endsWith("!"))?.slice(0, 3) ?? null };
    for (const printed of marks) table.set(printed, mark);
  }
  return table;
}

/** The mark of this text, or undefined if no table has it. The text is folded (number.ts). */
export function find(text: string): Mark | undefined {
  tables ??= { anyCase: parse(anyCase), exactCase: parse(exactCase) };
  const asPrinted = tables.exactCase.get(text) ?? tables.anyCase.get(text);
  if (asPrinted) return asPrinted;
  const bare = text.replace(/[\s.'"׳״\u200c-]+/g, "");
  return tables.exactCase.get(bare) ?? tables.anyCase.get(bare.toLowerCase());
}

/**
 * ISO 4217 codes of currencies in use, and of recently replaced ones that are still on papers: BGN and HRK beside EUR,
 * ANG, CUC, SLL, ZWL, VEF, BYR, the Baltic ones. Our own list, because the runtime's depends on its ICU version and
 * lacks VED. Source: ISO 4217 list one (2026-01) and list three; no metals, funds or test codes.
 */
const iso =
  "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BYR BZD CAD CDF CHF CLP CNY COP CRC CUC CUP CVE CZK DJF DKK DOP DZD EEK EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LTL LVL LYD MAD MDL MGA MKD MMK MNT MOP MRO MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STD STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VEF VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG ZWL";
let codes: Set<string> | undefined;

/** True for a code of the list above, in capitals. */
export function isIso(code: string): boolean {
  codes ??= new Set(iso.split(" "));
  return codes.has(code);
}

/**
 * Codes that are also words of receipts: TOP, ALL and PEN; CUP and MOP; a shower GEL, a bottle of LAK, hot SOS, cheese
 * with a DOP seal, SVC for service. Beside an amount they count as currencies only if the paper shows the currency
 * elsewhere, too.
 */
const words = new Set(["TOP", "ALL", "PEN", "CUP", "TRY", "MOP", "GEL", "LAK", "SOS", "DOP", "SVC", "STD"]);

/**
 * True for a letter that is a mark (SOS, SZL, LSL, GMD, HTG) and that OCR also reads in place of `$`, `£`, `€` and tax
 * codes.
 */
export function isMisread(text: string): boolean {
  return /^[SEMDG]\.?$/.test(text);
}

export function isWord(code: string): boolean {
  return words.has(code);
}
