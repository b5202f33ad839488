import type { Source } from "#core/export/table/maker";
import * as Bills from "./bills.ts";
import * as Mapping from "./mapping.ts";

/*
 * Xero's template of bills: columns with a star are required. Amounts include tax: choose "tax inclusive" when
 * importing.
 */

export const mapping = Mapping.Xero;

export const columns = [
  ...["*ContactName", "EmailAddress", "POAddressLine1", "POAddressLine2", "POAddressLine3", "POAddressLine4"],
  ...["POCity", "PORegion", "POPostalCode", "POCountry", "*InvoiceNumber", "*InvoiceDate", "*DueDate"],
  ...["Total", "InventoryItemCode", "Description", "*Quantity", "*UnitAmount", "*AccountCode", "*TaxType"],
  ...["TaxAmount", "TrackingName1", "TrackingOption1", "TrackingName2", "TrackingOption2", "Currency"],
];

/** The most bills of a file that Xero imports. */
const mostBills = 500;

export function make(source: Source): AsyncGenerator<string> {
  const { currency } = source.mapping as Mapping.Xero;
  return Bills.table(source, {
    ...{ format: "xero", columns, mostBills, longest: { vendor: 255, number: 255 } },
    cells: (bill, booking) => ({
      "*ContactName": bill.vendor,
      "*InvoiceNumber": bill.number,
      "*InvoiceDate": bill.billDate,
      "*DueDate": bill.dueDate,
      Total: Bills.amount(bill.total),
      Description: Bills.described(booking),
      "*Quantity": "1",
      "*UnitAmount": Bills.amount(booking.gross),
      "*AccountCode": booking.account,
      "*TaxType": booking.code,
      ...(booking.tax === undefined ? {} : { TaxAmount: Bills.amount(booking.tax) }),
      Currency: currency,
    }),
  });
}
