import { describe, expect, test } from "vitest";
import * as Money from "./money.ts";

/** Forms that tills and shops print and Intl does not: printed → [value, currency]. docs/values.md names the customs. */
const forms: Record<string, [string, string | null]> = {
  // India, Pakistan, Sri Lanka, Nepal, Bangladesh: "/-" and "only" close an amount.
  "Rs. 1,250/-": ["1250", null],
  "Rs 1,250.00/-": ["1250", null],
  "INR 500/-": ["500", "INR"],
  "500/-": ["500", null],
  "Rs.500": ["500", null],
  "Rs 500 only": ["500", null],
  "₹ १,२५०.००": ["1250", "INR"],
  "₹1,23,456/-": ["123456", "INR"],
  "रु 1,250": ["1250", null],
  "रू १,२५०": ["1250", null],
  "नेरू १,२५०.००": ["1250", "NPR"],
  "রু ১২০": ["120", "INR"],
  "৳ ১,২৫০.০০": ["1250", "BDT"],
  "১২০ টাকা": ["120", "BDT"],
  "Tk. 500/-": ["500", "BDT"],
  "රු. 1,250.00": ["1250", "LKR"],
  // East Africa: "/=" and "/-" for no cents.
  "1,200/=": ["1200", null],
  "1.250/-": ["1250", null],
  "Ksh. 1,200/=": ["1200", "KES"],
  "TSh 15,000/=": ["15000", "TZS"],
  "UGX 50,000/=": ["50000", "UGX"],
  // The Nordic countries, Switzerland, the Netherlands, Czechia: a dash for no cents.
  "1 299:-": ["1299", null],
  "kr 49:-": ["49", null],
  "49,- kr": ["49", null],
  "CHF 49.-": ["49", "CHF"],
  "Fr. 49.–": ["49", "CHF"],
  "SFr. 1'250.50": ["1250.5", "CHF"],
  "€ 5,--": ["5", "EUR"],
  "12,=": ["12", null],
  "1.290,- Ft": ["1290", "HUF"],
  "120.- บาท": ["120", "THB"],
  // Turkey, Spain, Italy: fill characters before the amount, so that no digit can be added there.
  "*118,80": ["118.8", null],
  "*1.118,80 TL": ["1118.8", "TRY"],
  "≡12,50": ["12.5", null],
  "==12.50": ["12.5", null],
  "****12.50***": ["12.5", null],
  // The middle dot, the sign in the place of the point, raised cents, small coins by name.
  "£1,234·50": ["1234.5", "GBP"],
  "12€50": ["12.5", "EUR"],
  "1 234$50": ["1234.5", null],
  "5⁹⁹": ["5.99", null],
  "$12⁵⁰": ["12.5", null],
  "99¢": ["0.99", null],
  "50 ct": ["0.5", null],
  "12 zł 50 gr": ["12.5", "PLN"],
  "250 руб. 50 коп.": ["250.5", "RUB"],
  "1 250-00 р.": ["1250", "RUB"],
  // Dollars with their country in letters, before and behind, apart or not.
  "US $1,200": ["1200", "USD"],
  "U$S 45,00": ["45", "USD"],
  "HK $ 120": ["120", "HKD"],
  "NT$ 450元": ["450", "TWD"],
  "CAD $45.00": ["45", "CAD"],
  "$45.00 CAD": ["45", "CAD"],
  "J$1,250.00": ["1250", "JMD"],
  "$U 450": ["450", "UYU"],
  "RD$ 450.00": ["450", "DOP"],
  "C$ 45.00": ["45", null],
  "$ 1.250": ["1250", null],
  // East Asia: full width, the closing dash, remarks of reduced tax, triangles for a minus.
  "￥１，２００": ["1200", null],
  "¥1,200-": ["1200", null],
  "1,200円-": ["1200", "JPY"],
  "¥108軽": ["108", null],
  "108※": ["108", null],
  "▲500": ["-500", null],
  "¥-500": ["-500", null],
  "450元": ["450", null],
  "人民币 45.00": ["45", "CNY"],
  "12,000 원": ["12000", "KRW"],
  "120,000 VNĐ": ["120000", "VND"],
  // Marks of two letters and more, in any script.
  "SR 45.00": ["45", null],
  "٤٥٫٠٠ ر.س": ["45", "SAR"],
  "١٬٢٣٤٫٥٠٠ د.ب.": ["1234.5", "BHD"],
  "\u200fد.إ.\u200f 45.00": ["45", "AED"],
  "Dhs 45.00": ["45", null],
  "QR 45.00": ["45", "QAR"],
  "KD 1.250": ["1.25", "KWD"],
  "L.E. 45": ["45", "EGP"],
  "L.L. 50,000": ["50000", "LBP"],
  "45.90 ש״ח": ["45.9", "ILS"],
  "250,00 р.": ["250", "RUB"],
  "125,50 грн": ["125.5", "UAH"],
  "15 000 soʻm": ["15000", "UZS"],
  "1 250 դր.": ["1250", "AMD"],
  "12.50 ლარი": ["12.5", "GEL"],
  "1.250,00 дин.": ["1250", "RSD"],
  "45,00 KM": ["45", "BAM"],
  "12,50 лв.": ["12.5", "BGN"],
  "45,00 kn": ["45", "HRK"],
  "S/.45.00": ["45", "PEN"],
  "B/. 45.00": ["45", "PAB"],
  "₡1.250": ["1250", "CRC"],
  Q45: ["45", "GTQ"],
  "Gs. 12.500": ["12500", "PYG"],
  "Bs. 45": ["45", null],
  "N1,500": ["1500", null],
  "GH₵45.00": ["45", "GHS"],
  "1 500 FCFA": ["1500", null],
  "1500F": ["1500", null],
  "Frw 1,500": ["1500", "RWF"],
  "Birr 45.00": ["45", "ETB"],
  "120.00 บาท": ["120", "THB"],
  "12,000 ກີບ": ["12000", "LAK"],
  "⃁ 45.00": ["45", "SAR"],
  "VED 45,00": ["45", "VED"],
  "XCG 45.00": ["45", "XCG"],
  // Texts after amounts that do not concern their currency.
  "12,00 TTC": ["12", null],
  "12,50 EUR inkl.": ["12.5", "EUR"],
  "12.50 (A)": ["12.5", null],
  "RM 34.70 SR": ["34.7", "MYR"],
  "5.00 T1": ["5", null],
  // Marks that are in no table, and signs without a code.
  "Zz 500": ["500", null],
  "Abcd 12.50": ["12.5", null],
  "¤12.50": ["12.5", null],
  "₿ 0.50": ["0.5", null],
  "۱۲۵٬۰۰۰ تومان": ["125000", null],
  // Remarks in brackets and words around amounts in Japan and Korea; the yen sign of old character sets; Taiwan's TX.
  "¥1,080(税込)": ["1080", null],
  "1,080円(内税)": ["1080", "JPY"],
  "(税込)1,080円": ["1080", "JPY"],
  "金 10,800 円也": ["10800", "JPY"],
  "일금 12,000원정": ["12000", "KRW"],
  "\\1,080": ["1080", null],
  "NT$1,200TX": ["1200", "TWD"],
  "45TX": ["45", null],
  "120 บ.": ["120", "THB"],
  // Nigeria's # where a till lacks ₦; the colon of Swedish kronor; tax codes that touch cents.
  "#1,250.00": ["1250", null],
  "1 249:50 kr": ["1249.5", null],
  "3.99TF": ["3.99", null],
  // Millions behind an apostrophe: Colombia, Mexico, Peru.
  "$1'250.000,00": ["1250000", null],
  "$1'250,000.00": ["1250000", null],
  "COP 1'250.000": ["1250000", "COP"],
  // Prices of one, with what they include; sums written out in full.
  "12.50 each": ["12.5", null],
  "à 12,50": ["12.5", null],
  "MOP$ 125.0": ["125", "MOP"],
  "£12.50 ea": ["12.5", "GBP"],
  "12.50 incl. VAT": ["12.5", null],
  "12,50 € inkl. MwSt.": ["12.5", "EUR"],
  新台幣450元整: ["450", "TWD"],
  "50 บาทถ้วน": ["50", "THB"],
  // Codes that are words of receipts, with nothing to support them.
  "TOP 12.50": ["12.5", null],
  "12.50 ALL": ["12.5", null],
  "PEN 5": ["5", null],
  "$ 5.00 TOP": ["5", null],
};

/** Plainly no amounts: numbers of things and people, times, dates, measures, sentences, ranges, misread digits. */
const others =
  "5 ea|12.50 VAT|#1,250|249:90|1249:50|Visa 1234|MC 4242|****1234|XXXX 1234|Item 3|TABLE 12|Tisch 7|Bon 44|No. 12|Nr. 5|№ 5|#12|Ref. 12345|Tel. 5550|+49 30 123456|0171 2345678|(030) 1234|03-5550 1188|12:30|12.30 Uhr|14.30 น.|14h30|2:30 PM|2.30 pm|12 AM|2031-04-16|16.04.2031|16.04.31|16/4|16 Apr 2031|May 12|Mon 12|2031年4月16日|5 pcs|5 PCS|x5|2 x 3.50|2 @ 3.50|3 for 5.00|5 kg|0.456 kg|500g|250 ml|1,5 l|10 cm|3 Stk|3 шт|3個|5点|2 ชิ้น|3 قطع|50%|%50|5 % off|1/2|½|12.345.678-9|AB-12345|A12|B-204|IT 12345678901|DE123456789|1.2.3|1.2.2031|192.168.1.1|v1.2|Ver 1.20|12 34|Room 204|Gate 5|Level 2|EAN 4006381333931|Kasse 3|Pos 3|ID 12345|Auth 123456|Qty 2|free|N/A|--|€|RM|24 h|20°C|5.00 and 6.00|5.00 6.00|5.00/6.00|5-6|5–6|1.234.56|3.5O|l2.50|12.5O|S.50|CR 12.50|12.50 CR|3万円|1.2万|15k|10K|2.5M|2 mio|15rb|2 juta|5 lakh|ca. 12.50|~12.50|<12|12+|USD 5 EUR|5 € 6|see 12|12th|Q1|K12|E5|12A|Page 1/2|100 points|12 btl|00123456".split(
    "|",
  );

describe("what tills print", () => {
  test.each(Object.entries(forms))("%s is read", (printed, [value, currency]) => {
    expect(Money.parse(printed)).toMatchObject({ value, currency });
  });

  test.each(others)("%s is not an amount", (printed) => {
    expect(Money.parse(printed)).toBeNull();
  });

  test("a closing dash is a minus, unless the amount is whole and its currency ends whole amounts with a dash", () => {
    expect(Money.parse("0,25-")).toMatchObject({ value: "-0.25", ambiguous: false });
    expect(Money.parse("10,800-", { currency: "JPY" })).toMatchObject({ value: "10800", ambiguous: false });
    expect(Money.parse("¥10,800-")).toMatchObject({ value: "10800", ambiguous: false });
    expect(Money.parse("-¥10,800-")?.value).toBe("-10800");
    expect(Money.parse("10-", { currency: "EUR" })).toMatchObject({ value: "-10", ambiguous: false });
    expect(Money.parse("¥12.50-")?.value).toBe("-12.5");
    // The country, and so its custom, is unknown.
    expect(Money.parse("500-")).toMatchObject({ value: "-500", ambiguous: true });
  });

  test("a point between a capital and two digits may belong to either", () => {
    expect(Money.parse("RM.50")).toMatchObject({ value: "50", ambiguous: true });
    expect(Money.parse("RM .50")).toMatchObject({ value: "0.5", ambiguous: false });
    expect(Money.parse("Rs.50")).toMatchObject({ value: "50", ambiguous: false });
  });

  test("a dash before the point may be a minus or stand for zero units; it is ambiguous where price tags print such dashes", () => {
    expect(Money.parse("-.95 CHF")).toMatchObject({ value: "0.95", ambiguous: true });
    expect(Money.parse("–,79 €")).toMatchObject({ value: "0.79", ambiguous: true });
    expect(Money.parse("-.95")).toMatchObject({ value: "-0.95", ambiguous: true });
    expect(Money.parse("-.95", { currency: "USD" })).toMatchObject({ value: "-0.95", ambiguous: false });
    expect(Money.parse("-0,79 €")).toMatchObject({ value: "-0.79", ambiguous: false });
  });

  test("three decimals are expected where the currency has them, and the other sign is a guess", () => {
    expect(Money.parse("KWD 1.250")).toEqual({ value: "1.25", currency: "KWD", ambiguous: false });
    expect(Money.parse("KWD 1,250")).toEqual({ value: "1250", currency: "KWD", ambiguous: true });
    expect(Money.parse("1,250 DT")).toEqual({ value: "1.25", currency: "TND", ambiguous: false });
    expect(Money.parse("1.250 DT")).toEqual({ value: "1.25", currency: "TND", ambiguous: true });
    const tills = Money.conventionOf(["12.500 DT", "3.750 DT"]);
    expect(Money.parse("1.250 DT", { convention: tills })).toMatchObject({ value: "1.25", ambiguous: false });
    // Arabic separators are unambiguous.
    expect(Money.parse("١٫٢٥٠")).toMatchObject({ value: "1.25", ambiguous: false });
    expect(Money.parse("١٬٢٥٠")).toMatchObject({ value: "1250", ambiguous: false });
  });
});
