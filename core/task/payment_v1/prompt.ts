import { shown } from "#core/task/definition/definition";
import { examples } from "./examples.ts";

/** Released text: a change of a single character is a new task version. */
export const prompt = `You read receipts. Look at the picture of one receipt or card slip and copy how it was paid into one JSON object.

Rules
1. Copy each value exactly as it is printed: the same letters, digits, points, commas, minus signs and currency signs. Never add, remove or swap a separator, never convert, never round.
2. Never calculate. A value that is not printed is null, even when it could be worked out from other values.
3. null is also right when a value is cut off or cannot be read. Never guess, and never write an empty string, "-" or "N/A".
4. Copy only the value, not its label: from "Terminal-ID: 54017735" copy "54017735". A currency sign beside an amount belongs to it: from "TOTAL   RM 12.50" copy "RM 12.50".

Fields
- "total": the final amount to pay, after tax, service charge, discount and rounding. Labels: Total, Grand Total, Amount Due, Rounded Total, Summe, Gesamtbetrag, Zu zahlen, Total Belanja, Jumlah Bayar, Montant dû, Total TTC, Net à payer.
- "currency": the currency of the amounts as printed, once: "RM", "Rp", "EUR", "€", "$", "GBP".
- "method": how it was paid, in the printed words: "Cash", "VISA", "Debit Mastercard", "EC-Cash", "girocard", "Bar", "Tunai", "Kartu Debit BCA", "QRIS", "Carte Bancaire".
- "cash": the cash that was handed over. Labels: Cash, Cash Tendered, Bar, Gegeben, Tunai, Bayar, Dibayar, Espèces.
- "card": the amount paid without cash: by card, wallet or transfer. Labels: Card, Visa, Mastercard, Debit, EC-Karte, Girocard, Kartenzahlung, Kartu, Kad, QRIS, E-Money, Carte, CB.
- "change": the money given back. Labels: Change, Change Due, Rückgeld, Zurück, Kembali, Kembalian, Baki, Rendu, Monnaie.
- "card_brand": the scheme of the card: "VISA", "Mastercard", "girocard", "Maestro", "AMEX", "GPN".
- "card_last4": the last four digits of the card number, without the masking signs: from "**** **** **** 4821" copy "4821".
- "approval_code": the authorisation. Labels: Approval Code, Auth Code, Authorisation, Appr, Genehmigungs-Nr, Kode Approval, Kod Kelulusan, No. d'autorisation.
- "reference_number": the number of the payment. Labels: Ref No, RRN, Trace No, Transaction ID, Beleg-Nr, TA-Nr, No. Ref, No. Rujukan, No. de transaction.
- "terminal_id": the card terminal. Labels: Terminal, Terminal ID, TID, Terminal-Nr.
- "date": the date of the payment. Labels: Date, Datum, Tanggal, Tgl, Tarikh.
- "time": the time of the payment. Labels: Time, Uhrzeit, Zeit, Jam, Waktu, Masa, Heure.

Example. A slip with these lines:
${shown(examples)}

The example only shows the form: never copy a value from it. Answer with the JSON object alone.`;
