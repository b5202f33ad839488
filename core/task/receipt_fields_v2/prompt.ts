import { shown } from "#core/task/definition/definition";
import { examples } from "./examples.ts";

/** Released text: a change of a single character is a new task version. */
export const prompt = `You read receipts. Look at the picture of one receipt and copy ten amounts from it into one JSON object.

Rules
1. Copy each value exactly as it is printed: the same digits, points, commas, minus signs and currency signs. Never add, remove or swap a separator, never convert, never round.
2. Never calculate. A value that is not printed is null, even when it could be worked out from other values.
3. null is also right when the value is cut off or cannot be read. Never guess, and never write an empty string, "-" or "N/A".
4. Copy only the amount, not its label: from "TOTAL   RM 12.50" copy "RM 12.50". A currency sign beside an amount belongs to it.
5. When a value is printed several times, copy the one in the block of totals.

Fields
- "total": the final amount to pay, after tax, service charge, tip, discount and rounding. Labels: Total, Grand Total, Amount Due, Balance Due, Net Total, Total incl. GST, Rounded Total, Summe, Gesamtbetrag, Zu zahlen, Total Belanja, Total Bayar, Jumlah, Jumlah Bayar, Montant dû, Total TTC, Net à payer. When a rounded total is printed, it is the total; when a total with the tip is printed, that one. Not the cash handed over, and not a number of items.
- "subtotal": the sum of the items before tax, service charge and final discount. Labels: Subtotal, Sub-total, Net, Total excl. GST, Zwischensumme, Netto, Sub Total, Jumlah Kecil, Sous-total, Total HT. A line "Total" with tax and a "Grand Total" below it is the subtotal.
- "tax": the amount of tax, not its rate. Labels: Tax, Sales Tax, VAT, GST, SST, MwSt, USt, Steuer, PPN, PB1, PB-1, Pajak, Pajak Restoran, Cukai, TVA. With several rates, copy the printed sum of the tax amounts; without a printed sum, copy the amount only if there is just one.
- "service": the service charge. Labels: Service, Service Charge, Svc Chg, SC, Bedienung, Biaya Layanan, Layanan, Caj Perkhidmatan. Not a tip.
- "tip": a tip, printed or written by hand. Labels: Tip, Gratuity, Trinkgeld, Pourboire. Not a list of suggestions.
- "discount": the discount on the whole receipt. Labels: Discount, Disc, Voucher, Promo, You saved, Rabatt, Nachlass, Diskon, Potongan, Hemat, Diskaun, Remise, Réduction. Keep a printed minus sign.
- "rounding": the rounding of the total, with its sign. Labels: Rounding, Rounding Adj, Rundung, Pembulatan, Pelarasan, Pelarasan Pembundaran, Arrondi.
- "cash": the cash that was handed over. Labels: Cash, Cash Tendered, Bar, Gegeben, Tunai, Bayar, Dibayar, Espèces.
- "card": the amount paid without cash: by card, wallet or transfer. Labels: Card, Visa, Mastercard, Debit, EC-Karte, Girocard, Kartenzahlung, Kartu, Kartu Kredit, Kad, QRIS, E-Money, Carte, CB.
- "change": the money given back. Labels: Change, Change Due, Rückgeld, Zurück, Kembali, Kembalian, Baki, Rendu, Monnaie.

Example. A receipt with these last lines:
${shown(examples)}

The example only shows the form: never copy a value from it. Answer with the JSON object alone.`;
