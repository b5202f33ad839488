import { shown } from "#core/task/definition/definition";
import { examples } from "./examples.ts";

/** Released text: a change of a single character is a new task version. */
export const prompt = `You read receipts. Look at the picture of one receipt and copy what is printed on it into one JSON object.

Rules
1. Copy each value exactly as it is printed: the same letters, digits, points, commas, minus signs and currency signs. Never add, remove or swap a separator, never translate, never convert, never round.
2. Never calculate. A value that is not printed is null, even when it could be worked out from other values.
3. null is also right when a value is cut off or cannot be read. Never guess, and never write an empty string, "-" or "N/A".
4. Copy only the value, not its label: from "TOTAL   RM 12.50" copy "RM 12.50". A currency sign beside an amount belongs to it.
5. When an amount is printed several times, copy the one in the block of totals.

"merchant", usually at the top:
- "name": the shop or company, with its legal form when printed on the same line (Sdn Bhd, GmbH, PT, Ltd, SARL).
- "address": the whole postal address, its lines joined with ", ".
- "phone": the phone number. Labels: Tel, Phone, Telefon, Telp, Tél. Not a fax number.
- "tax_id": the merchant's tax number. Labels: VAT No, GST ID, GST Reg No, SST No, Tax ID, USt-IdNr, UID, Steuernummer, NPWP, TVA, SIRET.

- "receipt_number": the number of this receipt. Labels: Receipt No, Invoice No, Bill No, Check, Order, Slip, Bon-Nr, Beleg-Nr, Rechnung, No. Struk, No. Nota, No. Resit, Ticket, Facture.
- "date": the date of the purchase. Labels: Date, Datum, Tanggal, Tgl, Tarikh.
- "time": the time of the purchase. Labels: Time, Uhrzeit, Zeit, Jam, Waktu, Masa, Heure.
- "currency": the currency of the amounts as printed, once: "RM", "Rp", "EUR", "€", "$", "GBP". null when no currency is printed.

"items": one entry for each item bought, in the order of the receipt, from the first to the last; do not stop early. A name and the line below it with quantity and price are one entry. The same item printed twice is two entries. A remark without a price belongs to the item above: leave it out. A discount or deposit line with an amount of its own between the items is an entry. Totals, tax and payment are not items.
- "name": the item's name, without its quantity and prices.
- "quantity": the number bought, with the sign or unit beside it: "2", "1x", "2 Stk", "0,456 kg". Labels: Qty, Menge, Anzahl, Jml, Banyak, Kuantiti, Qté.
- "unit_price": the price of one piece or of one kilogram. Labels: Unit Price, @, Einzelpreis, Harga, Harga Satuan, Harga Seunit, P.U. null when only one price stands on the line.
- "price": the amount of the whole line, usually the rightmost number. When only one price stands on the line, it is this one. Leave out a tax code behind it (A, B, SR).

"totals":
- "subtotal": the sum of the items before tax, service charge and final discount. Labels: Subtotal, Sub-total, Total excl. GST, Zwischensumme, Netto, Jumlah Kecil, Sous-total, Total HT. A line "Total" with tax and a "Grand Total" below it is the subtotal.
- "discount": the discount on the whole receipt. Labels: Discount, Voucher, Promo, You saved, Rabatt, Nachlass, Diskon, Potongan, Hemat, Diskaun, Remise. Keep a printed minus sign.
- "service": the service charge. Labels: Service Charge, Svc Chg, SC, Bedienung, Biaya Layanan, Caj Perkhidmatan. Not a tip.
- "tax": the amount of tax, not its rate. Labels: Tax, Sales Tax, VAT, GST, SST, MwSt, USt, Steuer, PPN, PB1, Pajak, Cukai, TVA. With several rates, copy the printed sum of the tax amounts; without a printed sum, copy the amount only if there is just one.
- "tip": a tip, printed or written by hand. Labels: Tip, Gratuity, Trinkgeld, Pourboire. Not a list of suggestions.
- "rounding": the rounding of the total, with its sign. Labels: Rounding, Rounding Adj, Rundung, Pembulatan, Pelarasan, Pelarasan Pembundaran, Arrondi.
- "total": the final amount to pay, after all of these; when a rounded total is printed, that one. Labels: Total, Grand Total, Amount Due, Rounded Total, Summe, Gesamtbetrag, Zu zahlen, Total Belanja, Jumlah Bayar, Montant dû, Total TTC, Net à payer.

"payment":
- "method": how it was paid, in the printed words: "Cash", "VISA", "EC-Cash", "girocard", "Bar", "Tunai", "QRIS", "Carte Bancaire".
- "cash": the cash that was handed over. Labels: Cash, Tendered, Bar, Gegeben, Tunai, Bayar, Dibayar, Espèces.
- "card": the amount paid without cash: by card, wallet or transfer. Labels: Card, Visa, Debit, EC-Karte, Kartenzahlung, Kartu, Kad, QRIS, Carte, CB.
- "change": the money given back. Labels: Change, Rückgeld, Zurück, Kembali, Kembalian, Baki, Rendu, Monnaie.
- "card_last4": the last four digits of the card number, without the masking signs.

Example. A receipt with these lines:
${shown(examples)}

The example only shows the form: never copy a value from it. Answer with the JSON object alone.`;
