import { type Beside, date, decimal, type Fields, type Line, line, type Tax } from "./fields.ts";
import type { Root } from "./schema.ts";
import { all, type Element, first, text } from "./xml.ts";

/* UBL 2.1, as Peppol BIS Billing and XRechnung write it. Paths: EN 16931-3-2. */

/** The root elements that this module reads, by namespace. */
export const roots: Readonly<Record<string, Root>> = {
  "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2": { name: "Invoice", syntax: "ubl" },
  "urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2": { name: "CreditNote", syntax: "ubl" },
};

/** The profile's identifier. */
export const guideline = (root: Element): string | null => text(root, "CustomizationID");

const amount = (element: Element | undefined, path: string): string | null => decimal(text(element, path));

function party(element: Element | undefined) {
  const address = first(element, "PostalAddress");
  const place = line([text(address, "PostalZone"), text(address, "CityName")], " ");
  const registrations = all(element, "PartyTaxScheme");
  const vat = registrations.find((each) => text(each, "TaxScheme/ID") === "VAT") ?? registrations[0];
  return {
    name: text(element, "PartyLegalEntity/RegistrationName") ?? text(element, "PartyName/Name"),
    address: line([
      text(address, "StreetName"),
      text(address, "AdditionalStreetName"),
      text(address, "AddressLine/Line"),
      place,
      text(address, "Country/IdentificationCode"),
    ]),
    tax_id: text(vat, "CompanyID"),
  };
}

const lineItem = (item: Element): Line => ({
  description: text(item, "Item/Name"),
  quantity: amount(item, "InvoicedQuantity") ?? amount(item, "CreditedQuantity"),
  unit_price: amount(item, "Price/PriceAmount"),
  tax_rate: amount(item, "Item/ClassifiedTaxCategory/Percent"),
  amount: amount(item, "LineExtensionAmount"),
});

const tax = (element: Element): Tax => ({
  rate: amount(element, "TaxCategory/Percent"),
  base: amount(element, "TaxableAmount"),
  amount: amount(element, "TaxAmount"),
});

/** The fields of a document whose root element is one of `roots`. */
export function read(root: Element): { fields: Fields; beside: Beside } {
  const seller = first(root, "AccountingSupplierParty/Party");
  const account = first(root, "PaymentMeans/PayeeFinancialAccount");
  const currency = text(root, "DocumentCurrencyCode");
  const taxTotals = all(root, "TaxTotal");
  const inCurrency = (each: Element) =>
    (first(each, "TaxAmount")?.attributes.currencyID ?? currency) === currency;
  const taxTotal = taxTotals.find(inCurrency) ?? taxTotals[0];
  const sums = first(root, "LegalMonetaryTotal");
  const lines = [...all(root, "InvoiceLine"), ...all(root, "CreditNoteLine")];
  const fields: Fields = {
    invoice_number: text(root, "ID"),
    invoice_date: date(text(root, "IssueDate")),
    due_date: date(text(root, "DueDate") ?? text(root, "PaymentMeans/PaymentDueDate")),
    purchase_order: text(root, "OrderReference/ID"),
    supplier: {
      ...party(seller),
      email: text(seller, "Contact/ElectronicMail"),
      phone: text(seller, "Contact/Telephone"),
      iban: text(account, "ID"),
      bic: text(account, "FinancialInstitutionBranch/ID"),
    },
    customer: party(first(root, "AccountingCustomerParty/Party")),
    currency,
    line_items: lines.map(lineItem),
    taxes: all(taxTotal, "TaxSubtotal").map(tax),
    subtotal: amount(sums, "LineExtensionAmount"),
    discount: amount(sums, "AllowanceTotalAmount"),
    shipping: amount(sums, "ChargeTotalAmount"),
    tax: amount(taxTotal, "TaxAmount"),
    total: amount(sums, "TaxInclusiveAmount"),
    amount_paid: amount(sums, "PrepaidAmount"),
    amount_due: amount(sums, "PayableAmount"),
  };
  const beside = { net: amount(sums, "TaxExclusiveAmount"), rounding: amount(sums, "PayableRoundingAmount") };
  return { fields, beside };
}
