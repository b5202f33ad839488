import { shown } from "#core/task/definition/definition";
import { examples } from "./examples.ts";

/** Released text: a change of a single character is a new task version. */
export const prompt = `You read invoices. Look at the pages of one invoice and copy what is printed on them into one JSON object.

Rules
1. Copy each value exactly as it is printed: the same letters, digits, points, commas, minus signs and currency signs. Never add, remove or swap a separator, never translate, never convert, never round.
2. Never calculate. A value that is not printed is null, even when it could be worked out from other values.
3. null is also right when a value is cut off or cannot be read. Never guess, and never write an empty string, "-" or "N/A".
4. Copy only the value, not its label: from "Total   EUR 12.50" copy "EUR 12.50". A currency sign beside an amount belongs to it.
5. When an amount is printed several times, copy the one in the block of totals. A carried-over sum between pages (Übertrag, carried forward, à reporter) is neither an item nor a total.

- "invoice_number": Labels: Invoice No, Invoice #, Tax Invoice No, Rechnungsnummer, Rechnung Nr, No. Faktur, No. Invois, Facture N°. Not an order or customer number.
- "invoice_date": the date of issue. Labels: Invoice Date, Date of Issue, Rechnungsdatum, Datum, Tanggal Faktur, Tarikh Invois, Date de facture.
- "due_date": the date to pay by, only when a date is printed. Labels: Due Date, Payment Due, Fällig am, Zahlbar bis, Jatuh Tempo, Tarikh Akhir Bayaran, Échéance.
- "purchase_order": the customer's order number. Labels: PO, PO Number, Purchase Order, Your Order, Bestellnummer, Ihre Bestellung, No. PO, Pesanan Pembelian, N° de commande.

"supplier", who issues the invoice and gets the money:
- "name": the company, with its legal form.
- "address": the whole postal address, its lines joined with ", ".
- "tax_id": the tax number. Labels: VAT No, GST No, SST No, Tax ID, USt-IdNr, Steuernummer, NPWP, N° TVA, SIRET.
- "email": the e-mail address.
- "phone": the phone number. Not a fax number.
- "iban": the IBAN to pay to, or the account number when there is no IBAN. Labels: IBAN, Account No, Konto, No. Rekening, No. Akaun.
- "bic": the bank's code. Labels: BIC, SWIFT.

"customer", who is billed. Labels: Bill To, Billed To, Invoice To, Rechnungsempfänger, Kepada, Facturé à:
- "name", "address", "tax_id": as for the supplier. Take the billing address, not the one of delivery.

- "currency": the currency of the amounts as printed, once: "EUR", "€", "$", "RM", "Rp". null when no currency is printed.

"line_items": one entry for each line billed, in the order of the invoice over all pages; do not stop early. A description over several lines is one entry, its lines joined with " ". Headings and sums between the lines are not entries.
- "description": what is billed, without its number in the list. Labels: Description, Item, Bezeichnung, Leistung, Artikel, Uraian, Keterangan, Perihal, Désignation.
- "quantity": the number billed, with the unit beside it: "2", "10 h", "3 Stk", "1,5". Labels: Qty, Menge, Anzahl, Jml, Kuantitas, Kuantiti, Qté.
- "unit_price": the price of one. Labels: Unit Price, Rate, Einzelpreis, EP, Harga Satuan, Harga Seunit, P.U. HT.
- "tax_rate": the rate of tax on the line, with its sign: "19%", "6.0 %". Labels: VAT %, GST %, MwSt %, USt %, PPN %, TVA %.
- "amount": the amount of the whole line. Labels: Amount, Total, Line Total, Gesamt, Betrag, GP, Jumlah, Montant, Total HT.

"taxes": one entry for each tax or rate in the block of totals; [] when none is printed.
- "rate": the rate with its sign.
- "base": the net amount that is taxed. Labels: Taxable Amount, Net, Nettobetrag, DPP, Dasar Pengenaan Pajak, Base HT.
- "amount": the amount of this tax. Labels: VAT, GST, SST, Sales Tax, MwSt, USt, PPN, TVA.

- "subtotal": the sum of the lines before tax. Labels: Subtotal, Net Total, Total excl. VAT, Nettobetrag, Zwischensumme, Netto, Jumlah Kecil, Total HT.
- "discount": the discount on the whole invoice. Labels: Discount, Rabatt, Nachlass, Diskon, Potongan, Diskaun, Remise. Keep a printed minus sign. Not an offer for early payment (Skonto).
- "shipping": freight or delivery. Labels: Shipping, Freight, Delivery, Versand, Porto, Fracht, Ongkos Kirim, Ongkir, Caj Penghantaran, Port, Frais de livraison.
- "tax": the sum of all taxes. With several taxes and no printed sum it is null.
- "total": the whole amount of the invoice, with tax. Labels: Total, Grand Total, Invoice Total, Total incl. VAT, Gesamtbetrag, Rechnungsbetrag, Bruttobetrag, Jumlah Besar, Total TTC.
- "amount_paid": what has been paid already. Labels: Amount Paid, Deposit, Prepaid, Anzahlung, Bereits gezahlt, Uang Muka, DP, Deposit Dibayar, Acompte, Déjà payé.
- "amount_due": what is left to pay. Labels: Amount Due, Balance Due, Zahlbetrag, Offener Betrag, Restbetrag, Sisa Tagihan, Baki Perlu Dibayar, Reste à payer, Net à payer. null when only a total is printed.

Example. An invoice with these lines:
${shown(examples)}

The example only shows the form: never copy a value from it. Answer with the JSON object alone.`;
