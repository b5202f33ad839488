import { type Beside, date, decimal, type Fields, type Line, line, type Tax } from "./fields.ts";
import type { Root } from "./schema.ts";
import { all, type Element, first, text } from "./xml.ts";

/*
 * UN/CEFACT Cross Industry Invoice (D16B and later), as ZUGFeRD 2, Factur-X and XRechnung write it, its predecessor of
 * ZUGFeRD 1, and the order of Order-X. Paths: EN 16931-3-3; ZUGFeRD 1 has "Applicable", "Specified" and "Supply" at
 * other places in the same names; `either` tries both forms.
 */

/** The root elements that this module reads, by namespace. */
export const roots: Readonly<Record<string, Root>> = {
  "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100": {
    name: "CrossIndustryInvoice",
    syntax: "cii",
  },
  "urn:ferd:CrossIndustryDocument:invoice:1p0": { name: "CrossIndustryDocument", syntax: "zugferd1" },
  "urn:un:unece:uncefact:data:SCRDMCCBDACIOMessageStructure:100": {
    name: "SCRDMCCBDACIOMessageStructure",
    syntax: "order-x",
  },
};

function either(element: Element | undefined, ...paths: string[]): Element | undefined {
  for (const path of paths) {
    const found = first(element, path);
    if (found !== undefined) return found;
  }
  return undefined;
}

const textAt = (element: Element | undefined, ...paths: string[]): string | null =>
  either(element, ...paths)?.text || null;
const amountAt = (element: Element | undefined, ...paths: string[]): string | null =>
  decimal(textAt(element, ...paths));

/** The profile's identifier, such as `urn:cen.eu:en16931:2017`. */
export const guideline = (root: Element): string | null =>
  textAt(
    root,
    "ExchangedDocumentContext/GuidelineSpecifiedDocumentContextParameter/ID",
    "SpecifiedExchangedDocumentContext/GuidelineSpecifiedDocumentContextParameter/ID",
  );

function party(element: Element | undefined) {
  const address = first(element, "PostalTradeAddress");
  const ids = all(element, "SpecifiedTaxRegistration/ID");
  const vat = ids.find(({ attributes }) => attributes.schemeID === "VA") ?? ids[0];
  const place = line([text(address, "PostcodeCode"), text(address, "CityName")], " ");
  return {
    name: text(element, "Name"),
    address: line([
      text(address, "LineOne"),
      text(address, "LineTwo"),
      text(address, "LineThree"),
      place,
      text(address, "CountryID"),
    ]),
    tax_id: vat?.text || null,
  };
}

function lineItem(item: Element): Line {
  const terms = either(item, "SpecifiedLineTradeSettlement", "SpecifiedSupplyChainTradeSettlement");
  const agreement = either(item, "SpecifiedLineTradeAgreement", "SpecifiedSupplyChainTradeAgreement");
  const delivery = either(item, "SpecifiedLineTradeDelivery", "SpecifiedSupplyChainTradeDelivery");
  return {
    description: text(item, "SpecifiedTradeProduct/Name"),
    quantity: amountAt(delivery, "BilledQuantity", "RequestedQuantity"),
    unit_price: amountAt(agreement, "NetPriceProductTradePrice/ChargeAmount"),
    tax_rate: amountAt(
      terms,
      "ApplicableTradeTax/RateApplicablePercent",
      "ApplicableTradeTax/ApplicablePercent",
    ),
    amount: amountAt(
      terms,
      "SpecifiedTradeSettlementLineMonetarySummation/LineTotalAmount",
      "SpecifiedTradeSettlementMonetarySummation/LineTotalAmount",
    ),
  };
}

const tax = (element: Element): Tax => ({
  rate: amountAt(element, "RateApplicablePercent", "ApplicablePercent"),
  base: amountAt(element, "BasisAmount"),
  amount: amountAt(element, "CalculatedAmount"),
});

/** The fields of a document whose root element is one of `roots`. */
export function read(root: Element): { fields: Fields; beside: Beside } {
  const document = either(root, "ExchangedDocument", "HeaderExchangedDocument");
  const trade = either(root, "SupplyChainTradeTransaction", "SpecifiedSupplyChainTradeTransaction");
  const agreement = either(trade, "ApplicableHeaderTradeAgreement", "ApplicableSupplyChainTradeAgreement");
  const terms = either(trade, "ApplicableHeaderTradeSettlement", "ApplicableSupplyChainTradeSettlement");
  const sums = either(
    terms,
    "SpecifiedTradeSettlementHeaderMonetarySummation",
    "SpecifiedTradeSettlementMonetarySummation",
  );
  const seller = first(agreement, "SellerTradeParty");
  const means = first(terms, "SpecifiedTradeSettlementPaymentMeans");
  const currency = textAt(terms, "InvoiceCurrencyCode", "OrderCurrencyCode");
  const taxTotals = all(sums, "TaxTotalAmount");
  const taxTotal =
    taxTotals.find(({ attributes }) => (attributes.currencyID ?? currency) === currency) ?? taxTotals[0];
  const fields: Fields = {
    invoice_number: text(document, "ID"),
    invoice_date: date(text(document, "IssueDateTime/DateTimeString")),
    due_date: date(text(terms, "SpecifiedTradePaymentTerms/DueDateDateTime/DateTimeString")),
    purchase_order: textAt(
      agreement,
      "BuyerOrderReferencedDocument/IssuerAssignedID",
      "BuyerOrderReferencedDocument/ID",
    ),
    supplier: {
      ...party(seller),
      email: text(seller, "DefinedTradeContact/EmailURIUniversalCommunication/URIID"),
      phone: text(seller, "DefinedTradeContact/TelephoneUniversalCommunication/CompleteNumber"),
      iban: text(means, "PayeePartyCreditorFinancialAccount/IBANID"),
      bic: text(means, "PayeeSpecifiedCreditorFinancialInstitution/BICID"),
    },
    customer: party(first(agreement, "BuyerTradeParty")),
    currency,
    line_items: all(trade, "IncludedSupplyChainTradeLineItem").map(lineItem),
    taxes: all(terms, "ApplicableTradeTax").map(tax),
    subtotal: amountAt(sums, "LineTotalAmount"),
    discount: amountAt(sums, "AllowanceTotalAmount"),
    shipping: amountAt(sums, "ChargeTotalAmount"),
    tax: decimal(taxTotal?.text || null),
    total: amountAt(sums, "GrandTotalAmount"),
    amount_paid: amountAt(sums, "TotalPrepaidAmount"),
    amount_due: amountAt(sums, "DuePayableAmount"),
  };
  const beside = { net: amountAt(sums, "TaxBasisTotalAmount"), rounding: amountAt(sums, "RoundingAmount") };
  return { fields, beside };
}
