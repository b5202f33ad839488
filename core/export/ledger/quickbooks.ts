import type { Source } from "#core/export/table/maker";
import * as Bills from "./bills.ts";
import * as Mapping from "./mapping.ts";

/*
 * QuickBooks Online's table of bills. Its import lets the user assign columns, so the column names are only a
 * suggestion. Amounts include tax: choose "inclusive of tax" when importing. Without `taxes` the tax columns are left
 * out, as for a company without tax.
 */

export const mapping = Mapping.Quickbooks;

const head = ["*BillNo", "*Supplier", "*BillDate", "*DueDate", "Terms", "Location", "Memo", "*Account"];
const line = ["LineDescription", "*LineAmount"];
const tax = ["LineTaxCode", "LineTaxAmount"];

/** Maximum lengths of a bill's vendor and number (`DocNumber`). */
const longest = { vendor: 100, number: 21 };

export function make(source: Source): AsyncGenerator<string> {
  const { currency, taxes } = source.mapping as Mapping.Quickbooks;
  return Bills.table(source, {
    ...{ format: "quickbooks", longest },
    columns: [...head, ...line, ...(taxes === undefined ? [] : tax), "Currency"],
    cells: (bill, booking) => ({
      "*BillNo": bill.number,
      "*Supplier": bill.vendor,
      "*BillDate": bill.billDate,
      "*DueDate": bill.dueDate,
      "*Account": booking.account,
      LineDescription: Bills.described(booking),
      "*LineAmount": Bills.amount(booking.gross),
      LineTaxCode: booking.code,
      ...(booking.tax === undefined ? {} : { LineTaxAmount: Bills.amount(booking.tax) }),
      Currency: currency,
    }),
  });
}
