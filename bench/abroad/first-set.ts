import type { Receipt } from "./paper.ts";

/** Ten countries; the rules were written with these in view. */
export const firstSet: Receipt[] = [
  {
    id: "gb-cafe",
    look: { font: "DejaVu Serif", fontPx: 22, widthPx: 560, tilt: 0.8 },
    lines: `
# THE COPPER KETTLE
^ 14 Mill Lane, Bristol BS1 9ZZ
^ Tel: 0117 496 0123
^ VAT No: GB 123 4567 89
--
Table 4 | 14/03/2025 12:41
2 Flat White | £6.40
1 Eggs Benedict | £9.75
1 Sourdough Toast | £3.50
1 Fresh Orange Juice | £3.95
--
Subtotal | £23.60
Service 12.5% | £2.95
TOTAL £26.55
Visa contactless | £26.55
VAT @ 20% included | £4.43
^ Thank you for your visit
`,
    expected: { currency: "GBP", total: "26.55", date: "2025-03-14", items: 4 },
  },
  {
    id: "ie-shop",
    look: { font: "DejaVu Sans", fontPx: 20, widthPx: 520, blur: 0.6 },
    lines: `
# GREENHILL STORES
^ Main Street, Ballymore, Co. Kildare
^ VAT Reg No: IE1234567T
Date 02/11/2024 | Time 18:05
Brown Soda Bread | € 2.49
Irish Butter 454g | € 3.99
Free Range Eggs x12 | € 4.25
Cheddar Block | € 5.50
--
TOTAL | € 16.23
CASH | € 20.00
CHANGE | € 3.77
VAT 0% | € 0.00
`,
    expected: { currency: "EUR", total: "16.23", date: "2024-11-02", items: 4 },
  },
  {
    id: "fr-bistro",
    look: { font: "DejaVu Sans Mono", fontPx: 20, widthPx: 540, tilt: -1 },
    lines: `
# LE PETIT TILLEUL
^ 8 rue des Lavandes
^ 69000 LYON
^ SIRET 123 456 789 00012
^ TVA FR 12 345678901
Le 07/06/2025 à 20:14
--
2 Menu du jour | 37,80 €
1 Pichet rosé | 12,50 €
2 Café | 4,60 €
1 Tarte citron | 7,20 €
--
TOTAL TTC | 62,10 €
dont TVA 10% | 5,65 €
CARTE BANCAIRE | 62,10 €
^ Merci de votre visite
`,
    expected: { currency: "EUR", total: "62.10", date: "2025-06-07", items: 4 },
  },
  {
    id: "es-bar",
    look: { font: "DejaVu Sans Mono", fontPx: 21, widthPx: 520 },
    lines: `
# BAR LA ESQUINA
^ C/ Mayor 22, 41001 Sevilla
^ NIF: B12345678
Factura simplificada 001-4521
Fecha: 21/09/2024 | Hora: 14:32
--
2 Caña | 3,60€
1 Tortilla | 4,50€
1 Croquetas | 8,00€
1 Agua 50cl | 1,50€
--
TOTAL | 17,60€
Base imponible | 16,00€
IVA 10% | 1,60€
EFECTIVO | 20,00€
CAMBIO | 2,40€
^ Gracias por su visita
`,
    expected: { currency: "EUR", total: "17.60", date: "2024-09-21", items: 4 },
  },
  {
    id: "it-trattoria",
    look: { font: "DejaVu Sans Mono", fontPx: 20, widthPx: 500, tilt: 1.5, blur: 0.5 },
    lines: `
# TRATTORIA DA NELLA
^ Via dei Platani 5 - 50100 Firenze
^ P.IVA 01234567890
^ DOCUMENTO COMMERCIALE
DESCRIZIONE | Prezzo(€)
COPERTO | 4,00
RIBOLLITA | 9,00
BISTECCA 600G | 32,00
VINO ROSSO 1/2 | 8,50
--
TOTALE COMPLESSIVO | 53,50
di cui IVA | 4,86
Pagamento contante | 60,00
Resto | 6,50
18-05-2025 21:47
`,
    expected: { currency: "EUR", total: "53.50", date: "2025-05-18", items: 4 },
  },
  {
    id: "nl-market",
    look: { font: "DejaVu Sans", fontPx: 21, widthPx: 540 },
    lines: `
# DE GROENE MAND
^ Dorpsstraat 101, 1234 AB Heuveldam
^ BTW NL001234567B01
Kaas jong belegen | € 7,49
Volkoren brood | € 2,89
Appels 1,5 kg | € 3,75
Karnemelk | € 1,29
--
Totaal € 15,42
PIN | € 15,42
BTW 9% over 14,15 | € 1,27
12-02-2025 | 17:22
^ Bedankt en tot ziens
`,
    expected: { currency: "EUR", total: "15.42", date: "2025-02-12", items: 4 },
  },
  {
    id: "in-restaurant",
    look: { font: "DejaVu Sans", fontPx: 21, widthPx: 560, tilt: -0.7 },
    lines: `
# SPICE LANTERN
^ 12, Lake View Road, Kochi 682001
^ GSTIN: 32ABCDE1234F1Z5
^ TAX INVOICE
Bill No: 2231 | Date: 09-08-2024
--
Masala Dosa x2 | ₹180.00
Paneer Tikka | ₹260.00
Butter Naan x4 | ₹200.00
Sweet Lassi | ₹90.00
--
Sub Total | ₹730.00
CGST 2.5% | ₹18.25
SGST 2.5% | ₹18.25
Round Off | ₹0.50
Grand Total ₹767.00
^ Paid by UPI
`,
    expected: { currency: "INR", total: "767.00", date: "2024-08-09", items: 4 },
  },
  {
    id: "tr-lokanta",
    look: { font: "DejaVu Sans Mono", fontPx: 21, widthPx: 540 },
    lines: `
# SAHIL LOKANTASI
^ Liman Cad. No:7 Izmir
^ VERGI NO: 1234567890
TARIH: 30.04.2025 | SAAT: 13:08
FIS NO: 0042
--
MERCIMEK CORBA | ₺95,00
ADANA KEBAP | ₺340,00
AYRAN | ₺45,00
KUNEFE | ₺160,00
--
KDV %10 | ₺58,18
TOPLAM | ₺640,00
KREDI KARTI | ₺640,00
`,
    expected: { currency: "TRY", total: "640.00", date: "2025-04-30", items: 4 },
  },
  {
    id: "pl-sklep",
    look: { font: "DejaVu Sans Mono", fontPx: 20, widthPx: 560, blur: 0.5 },
    lines: `
# SKLEP POD LIPA
^ ul. Klonowa 3, 00-950 Warszawa
^ NIP 123-456-78-90
^ PARAGON FISKALNY
Chleb zytni | 1 x4,99 4,99A
Maslo extra | 2 x7,49 14,98A
Ser gouda | 1 x12,30 12,30A
Woda 1,5l | 3 x2,19 6,57A
--
PTU A 5% | 1,85
SUMA PTU | 1,85
SUMA PLN | 38,84
Karta | 38,84
2025-01-17 | 09:55
`,
    expected: { currency: "PLN", total: "38.84", date: "2025-01-17", items: 4 },
  },
  {
    id: "se-kiosk",
    look: { font: "DejaVu Sans", fontPx: 21, widthPx: 520, tilt: 0.6 },
    lines: `
# KIOSK BJÖRKEN
^ Storgatan 12, 111 22 Stockholm
^ Org.nr 556123-4567
2025-07-05 | 10:31
Kaffe stor | 38,00
Kanelbulle | 32,00
Smörgås ost | 65,00
Mineralvatten | 25,00
--
Totalt SEK | 160,00
varav moms 12% | 17,14
Kontokort | 160,00
^ Tack för besöket
`,
    expected: { currency: "SEK", total: "160.00", date: "2025-07-05", items: 4 },
  },
];
