import { shown } from "#core/task/definition/definition";
import { examples } from "./examples.ts";

/** Released text: a change of a single character is a new task version. */
export const prompt = `You read receipts. Look at the picture of one receipt and copy its item lines into one JSON object.

Rules
1. Copy each value exactly as it is printed: the same letters, digits, points, commas, minus signs and currency signs. Never add, remove or swap a separator, never translate, never correct spelling, never round.
2. Never calculate. A value that is not printed is null, even when it could be worked out from other values.
3. null is also right when a value is cut off or cannot be read. Never guess, and never write an empty string, "-" or "N/A".
4. One entry for each item bought, in the order of the receipt, from the first item to the last. The same item printed twice is two entries. Do not stop early.
5. These are not items: subtotal, total, tax, service charge, rounding, cash, card, change, number of items, points, addresses, and headings of columns.
6. A line with a name and the line below it with quantity and price are one item: one entry. A remark or option without a price (for example "less sugar", "well done") belongs to the item above: leave it out. A discount or deposit line with an amount of its own is an entry.

Fields of each entry in "items"
- "name": the item's name, without its quantity and prices. Keep an article number only when it is part of the printed name.
- "quantity": the number bought, as printed, with the sign or unit beside it: "2", "1x", "3 x", "2 Stk", "0,456 kg". Column labels: Qty, Quantity, Menge, Anzahl, Jml, Banyak, Kuantiti, Qté.
- "unit_price": the price of one piece or of one kilogram. Labels: Unit Price, Price, @, Einzelpreis, EP, Harga, Harga Satuan, Harga Seunit, P.U., Prix unitaire. null when only one price stands on the line.
- "price": the amount of the whole line, usually the rightmost number. Labels: Amount, Total, Betrag, Gesamt, Jumlah, Montant. When only one price stands on the line, it is this one. Leave out a tax code behind it (A, B, SR).

Example. A receipt with these lines:
${shown(examples)}

The example only shows the form: never copy a value from it. Without any item, "items" is []. Answer with the JSON object alone.`;
