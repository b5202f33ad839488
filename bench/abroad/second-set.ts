import type { Receipt } from "./paper.ts";

/** Ten more, written when the rules were finished: no rule was made for them. */
export const secondSet: Receipt[] = [
  {
    id: "b-gb-grocer",
    look: { font: "DejaVu Sans Condensed", fontPx: 24, widthPx: 480, blur: 0.7, paper: "#f4f1ea" },
    lines: `
# Hartley & Moss
^ Greengrocers since 1988
^ 3 Castle Hill, Lancaster LA1 1YN
^ www.hartleymoss.co.uk
05 Oct 2024 16:22 | Till 2
Bananas 1.2kg | £1.68
Strawberries | £3.00
Oat Milk | £2.10
Chutney | £4.25
Total (4 items) | £11.03
Cash | £20.00
Change Due | £8.97
`,
    expected: { currency: "GBP", total: "11.03", date: "2024-10-05", items: 4 },
  },
  {
    id: "b-de-baeckerei",
    look: { font: "DejaVu Serif", fontPx: 21, widthPx: 560, tilt: -1.2 },
    lines: `
# Bäckerei Sonnentau
^ Am Anger 9, 99084 Erfurt
^ Steuer-Nr. 151/123/45678
Menge Artikel | Betrag
3 Brötchen | 1,35 €
1 Mohnkuchen | 2,60 €
2 Cappuccino | 6,40 €
--
Summe | 10,35 €
Bar | 20,35 €
Rückgeld | 10,00 €
inkl. 7% MwSt | 0,26 €
inkl. 19% MwSt | 1,02 €
11.04.2025 08:17 | Bon 7712
`,
    expected: { currency: "EUR", total: "10.35", date: "2025-04-11", items: 3 },
  },
  {
    id: "b-be-frituur",
    look: { font: "DejaVu Sans", fontPx: 19, widthPx: 460, blur: 0.4 },
    lines: `
# FRITUUR 'T HOEKSKE
^ Kerkplein 1, 9000 Gent
^ BTW BE 0123.456.789
2024-08-23 | 19:05
Aantal Omschrijving | Bedrag
2x Grote friet | € 8,40
1x Stoofvleessaus | € 3,20
2x Frikandel | € 5,00
--
Te betalen | € 16,60
Bancontact | € 16,60
BTW 12% | € 1,78
`,
    expected: { currency: "EUR", total: "16.60", date: "2024-08-23", items: 3 },
  },
  {
    id: "b-pt-pastelaria",
    look: { font: "DejaVu Sans Mono", fontPx: 20, widthPx: 520, tilt: 1.1 },
    lines: `
# PASTELARIA AURORA
^ Rua das Oliveiras 40, 4000 Porto
^ Contribuinte: 501234567
Fatura Simplificada FS 12/345
Data: 29-06-2025 | 10:48
2 Pastel de nata | 2,60€
2 Galão | 3,00€
1 Tosta mista | 3,80€
--
TOTAL A PAGAR | 9,40€
Multibanco | 9,40€
IVA 13% incluído | 1,08€
^ Obrigado pela visita
`,
    expected: { currency: "EUR", total: "9.40", date: "2025-06-29", items: 3 },
  },
  {
    id: "b-at-gasthaus",
    look: { font: "DejaVu Sans", fontPx: 22, widthPx: 600, tilt: 0.5, blur: 0.5 },
    lines: `
# Gasthaus zur Linde
^ Dorfplatz 2, 5020 Salzburg
^ UID: ATU12345678
Tisch 7 | Rechnung Nr. 4410
1 Wiener Schnitzel | € 18,90
1 Kürbiscremesuppe | € 6,50
2 Almdudler | € 7,80
1 Apfelstrudel | € 5,60
--
Gesamtbetrag | € 38,80
davon 10% USt | € 2,82
davon 20% USt | € 1,30
Zahlungsart: Bankomat
17.05.2025 | 13:36 Uhr
`,
    expected: { currency: "EUR", total: "38.80", date: "2025-05-17", items: 4 },
  },
  {
    id: "b-in-kirana",
    look: { font: "DejaVu Sans Condensed", fontPx: 22, widthPx: 500 },
    lines: `
# LOTUS KIRANA STORE
^ Shop 8, M G Road, Pune 411001
^ GSTIN 27ABCDE1234F1Z3
Invoice 0917 | 23/12/2024 11:15
Basmati Rice 5kg | ₹ 640.00
Toor Dal 1kg | ₹ 168.00
Sunflower Oil 1L | ₹ 145.50
Green Tea | ₹ 210.00
--
Total Amount | ₹ 1,163.50
Less Discount | ₹ 13.50
Net Payable | ₹ 1,150.00
Cash | ₹ 1,200.00
Balance | ₹ 50.00
`,
    expected: { currency: "INR", total: "1150.00", date: "2024-12-23", items: 4 },
  },
  {
    id: "b-dk-cafe",
    look: { font: "DejaVu Sans Mono", fontPx: 19, widthPx: 480, paper: "#fbf7ef", ink: "#333" },
    lines: `
# CAFE FYRTÅRNET
^ Havnegade 18, 8000 Aarhus C
^ CVR 12345678
Dato 14.02.2025 | Kl. 15:40
Filterkaffe | 35,00
Rugbrødsmad | 79,00
Æblekage | 48,00
--
I ALT DKK | 162,00
Heraf moms | 32,40
Dankort | 162,00
^ Tak for besøget
`,
    expected: { currency: "DKK", total: "162.00", date: "2025-02-14", items: 3 },
  },
  {
    id: "b-cz-hospoda",
    look: { font: "DejaVu Serif", fontPx: 20, widthPx: 540, tilt: -0.6 },
    lines: `
# HOSPODA U DUBU
^ Lipová 4, 602 00 Brno
^ IČO: 12345678 DIČ: CZ12345678
Datum: 08.03.2025 | Čas: 20:02
Guláš s knedlíkem | 189,00
Svíčková | 215,00
Pivo 0,5l | 62,00
Limonáda | 45,00
--
Celkem k úhradě | 511,00 Kč
Hotovost | 600,00 Kč
Vráceno | 89,00 Kč
DPH 12% | 54,75 Kč
`,
    expected: { currency: "CZK", total: "511.00", date: "2025-03-08", items: 4 },
  },
  {
    id: "b-au-cafe",
    look: { font: "DejaVu Sans", fontPx: 21, widthPx: 500, blur: 0.6, tilt: 0.9 },
    lines: `
# WATTLE & GRAIN
^ 77 Harbour Pde, Fremantle WA 6160
^ ABN 12 345 678 901
TAX INVOICE | 19/01/2025 09:12
Long Black | $5.20
Avo Toast | $18.50
Banana Bread | $7.00
--
Total (inc GST) | $30.70
GST included | $2.79
EFTPOS | $30.70
`,
    expected: { currency: "AUD", total: "30.70", date: "2025-01-19", items: 3 },
  },
  {
    id: "b-ie-pub",
    look: { font: "DejaVu Serif", fontPx: 22, widthPx: 520, tilt: -0.8, blur: 0.5 },
    lines: `
# The Drowned Fiddle
^ Quay Street, Kinsale, Co. Cork
^ VAT IE7654321W
Server: 3 | 28/07/2024 20:51
Seafood Chowder | €11.50
Fish and Chips | €19.95
Stout Pint x2 | €12.40
Sparkling Water | €3.80
--
Sub Total | €47.65
Service 10% | €4.77
Total | €52.42
Card | €52.42
`,
    expected: { currency: "EUR", total: "52.42", date: "2024-07-28", items: 4 },
  },
];
