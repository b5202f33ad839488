/*
 * Small e-invoices of our own making, in the three ways in which they are written: one supplier, two lines, two rates.
 * net 130.00 = 100.00 + 40.00 − 10.00 discount; tax 19 % of 90.00 = 17.10, 7 % of 40.00 = 2.80; total 149.90.
 */

const ns = "urn:un:unece:uncefact:data:standard";

const line = (name: string, quantity: string, price: string, rate: string, amount: string) => `
<ram:IncludedSupplyChainTradeLineItem>
 <ram:SpecifiedTradeProduct><ram:Name>${name}</ram:Name></ram:SpecifiedTradeProduct>
 <ram:SpecifiedLineTradeAgreement><ram:NetPriceProductTradePrice><ram:ChargeAmount>${price}</ram:ChargeAmount></ram:NetPriceProductTradePrice></ram:SpecifiedLineTradeAgreement>
 <ram:SpecifiedLineTradeDelivery><ram:BilledQuantity unitCode="C62">${quantity}</ram:BilledQuantity></ram:SpecifiedLineTradeDelivery>
 <ram:SpecifiedLineTradeSettlement>
  <ram:ApplicableTradeTax><ram:TypeCode>VAT</ram:TypeCode><ram:RateApplicablePercent>${rate}</ram:RateApplicablePercent></ram:ApplicableTradeTax>
  <ram:SpecifiedTradeSettlementLineMonetarySummation><ram:LineTotalAmount>${amount}</ram:LineTotalAmount></ram:SpecifiedTradeSettlementLineMonetarySummation>
 </ram:SpecifiedLineTradeSettlement>
</ram:IncludedSupplyChainTradeLineItem>`;

const tax = (rate: string, base: string, amount: string) =>
  `<ram:ApplicableTradeTax><ram:CalculatedAmount>${amount}</ram:CalculatedAmount><ram:TypeCode>VAT</ram:TypeCode>
 <ram:BasisAmount>${base}</ram:BasisAmount><ram:RateApplicablePercent>${rate}</ram:RateApplicablePercent></ram:ApplicableTradeTax>`;

/** The invoice as ZUGFeRD 2 and Factur-X. */
export const cii = `<?xml version="1.0" encoding="UTF-8"?>
<rsm:CrossIndustryInvoice xmlns:rsm="${ns}:CrossIndustryInvoice:100" xmlns:ram="${ns}:ReusableAggregateBusinessInformationEntity:100" xmlns:udt="${ns}:UnqualifiedDataType:100">
<rsm:ExchangedDocumentContext><ram:GuidelineSpecifiedDocumentContextParameter><ram:ID>urn:cen.eu:en16931:2017</ram:ID></ram:GuidelineSpecifiedDocumentContextParameter></rsm:ExchangedDocumentContext>
<rsm:ExchangedDocument><ram:ID>RE-2026/0117</ram:ID><ram:TypeCode>380</ram:TypeCode>
 <ram:IssueDateTime><udt:DateTimeString format="102">20261103</udt:DateTimeString></ram:IssueDateTime></rsm:ExchangedDocument>
<rsm:SupplyChainTradeTransaction>
${line("Pump &amp; hose", "2", "50.00", "19.00", "100.00")}
${line("Manual", "4.0", "10", "7", "40.0")}
<ram:ApplicableHeaderTradeAgreement>
 <ram:SellerTradeParty><ram:Name>Quellwerk GmbH</ram:Name>
  <ram:DefinedTradeContact><ram:TelephoneUniversalCommunication><ram:CompleteNumber>+49 000 555</ram:CompleteNumber></ram:TelephoneUniversalCommunication>
  <ram:EmailURIUniversalCommunication><ram:URIID>rechnung@quellwerk.example</ram:URIID></ram:EmailURIUniversalCommunication></ram:DefinedTradeContact>
  <ram:PostalTradeAddress><ram:PostcodeCode>00001</ram:PostcodeCode><ram:LineOne>Am Brunnen 1</ram:LineOne><ram:CityName>Musterstadt</ram:CityName><ram:CountryID>DE</ram:CountryID></ram:PostalTradeAddress>
  <ram:SpecifiedTaxRegistration><ram:ID schemeID="FC">12/345/67890</ram:ID></ram:SpecifiedTaxRegistration>
  <ram:SpecifiedTaxRegistration><ram:ID schemeID="VA">DE000000000</ram:ID></ram:SpecifiedTaxRegistration></ram:SellerTradeParty>
 <ram:BuyerTradeParty><ram:Name>Gartenbau Example</ram:Name></ram:BuyerTradeParty>
 <ram:BuyerOrderReferencedDocument><ram:IssuerAssignedID>PO-9</ram:IssuerAssignedID></ram:BuyerOrderReferencedDocument>
</ram:ApplicableHeaderTradeAgreement>
<ram:ApplicableHeaderTradeDelivery/>
<ram:ApplicableHeaderTradeSettlement><ram:InvoiceCurrencyCode>EUR</ram:InvoiceCurrencyCode>
 <ram:SpecifiedTradeSettlementPaymentMeans><ram:PayeePartyCreditorFinancialAccount><ram:IBANID>DE00000000000000000000</ram:IBANID></ram:PayeePartyCreditorFinancialAccount>
 <ram:PayeeSpecifiedCreditorFinancialInstitution><ram:BICID>EXAMPLE0XXX</ram:BICID></ram:PayeeSpecifiedCreditorFinancialInstitution></ram:SpecifiedTradeSettlementPaymentMeans>
 ${tax("19", "90.00", "17.10")}${tax("7", "40", "2.8")}
 <ram:SpecifiedTradePaymentTerms><ram:DueDateDateTime><udt:DateTimeString format="102">20261203</udt:DateTimeString></ram:DueDateDateTime></ram:SpecifiedTradePaymentTerms>
 <ram:SpecifiedTradeSettlementHeaderMonetarySummation><ram:LineTotalAmount>140.00</ram:LineTotalAmount><ram:AllowanceTotalAmount>10.00</ram:AllowanceTotalAmount>
 <ram:TaxBasisTotalAmount>130.00</ram:TaxBasisTotalAmount><ram:TaxTotalAmount currencyID="EUR">19.90</ram:TaxTotalAmount>
 <ram:GrandTotalAmount>149.90</ram:GrandTotalAmount><ram:TotalPrepaidAmount>49.90</ram:TotalPrepaidAmount><ram:DuePayableAmount>100.00</ram:DuePayableAmount></ram:SpecifiedTradeSettlementHeaderMonetarySummation>
</ram:ApplicableHeaderTradeSettlement></rsm:SupplyChainTradeTransaction></rsm:CrossIndustryInvoice>`;

/** The same invoice as ZUGFeRD 1. */
export const zugferd1 = cii
  .replaceAll("SpecifiedTradeSettlementHeaderMonetarySummation", "SpecifiedTradeSettlementMonetarySummation")
  .replaceAll("SpecifiedTradeSettlementLineMonetarySummation", "SpecifiedTradeSettlementMonetarySummation")
  .replaceAll("RateApplicablePercent", "ApplicablePercent")
  .replaceAll(/ram:SpecifiedLineTrade(\w+)/g, "ram:SpecifiedSupplyChainTrade$1")
  .replaceAll(/ram:ApplicableHeaderTrade(\w+)/g, "ram:ApplicableSupplyChainTrade$1")
  .replaceAll("rsm:SupplyChainTradeTransaction", "rsm:SpecifiedSupplyChainTradeTransaction")
  .replaceAll("rsm:ExchangedDocumentContext", "rsm:SpecifiedExchangedDocumentContext")
  .replaceAll(/rsm:ExchangedDocument>/g, "rsm:HeaderExchangedDocument>")
  .replaceAll("rsm:CrossIndustryInvoice", "rsm:CrossIndustryDocument")
  .replace(`${ns}:CrossIndustryInvoice:100`, "urn:ferd:CrossIndustryDocument:invoice:1p0")
  .replaceAll("IssuerAssignedID", "ID");

const cbc = (name: string, value: string) => `<cbc:${name} currencyID="EUR">${value}</cbc:${name}>`;
const ublLine = (name: string, quantity: string, price: string, rate: string, amount: string) => `
<cac:InvoiceLine><cbc:InvoicedQuantity unitCode="C62">${quantity}</cbc:InvoicedQuantity>${cbc("LineExtensionAmount", amount)}
<cac:Item><cbc:Name>${name}</cbc:Name><cac:ClassifiedTaxCategory><cbc:Percent>${rate}</cbc:Percent></cac:ClassifiedTaxCategory></cac:Item>
<cac:Price>${cbc("PriceAmount", price)}</cac:Price></cac:InvoiceLine>`;
const ublTax = (rate: string, base: string, amount: string) =>
  `<cac:TaxSubtotal>${cbc("TaxableAmount", base)}${cbc("TaxAmount", amount)}<cac:TaxCategory><cbc:Percent>${rate}</cbc:Percent></cac:TaxCategory></cac:TaxSubtotal>`;

/** The same invoice in UBL 2. */
export const ubl = `<?xml version="1.0"?>
<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2" xmlns:cac="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2" xmlns:cbc="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2">
<cbc:CustomizationID>urn:cen.eu:en16931:2017</cbc:CustomizationID><cbc:ID>RE-2026/0117</cbc:ID><cbc:IssueDate>2026-11-03</cbc:IssueDate><cbc:DueDate>2026-12-03</cbc:DueDate>
<cbc:DocumentCurrencyCode>EUR</cbc:DocumentCurrencyCode><cac:OrderReference><cbc:ID>PO-9</cbc:ID></cac:OrderReference>
<cac:AccountingSupplierParty><cac:Party><cac:PostalAddress><cbc:StreetName>Am Brunnen 1</cbc:StreetName><cbc:CityName>Musterstadt</cbc:CityName><cbc:PostalZone>00001</cbc:PostalZone>
<cac:Country><cbc:IdentificationCode>DE</cbc:IdentificationCode></cac:Country></cac:PostalAddress>
<cac:PartyTaxScheme><cbc:CompanyID>12/345/67890</cbc:CompanyID><cac:TaxScheme><cbc:ID>FC</cbc:ID></cac:TaxScheme></cac:PartyTaxScheme>
<cac:PartyTaxScheme><cbc:CompanyID>DE000000000</cbc:CompanyID><cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:PartyTaxScheme>
<cac:PartyLegalEntity><cbc:RegistrationName>Quellwerk GmbH</cbc:RegistrationName></cac:PartyLegalEntity>
<cac:Contact><cbc:Telephone>+49 000 555</cbc:Telephone><cbc:ElectronicMail>rechnung@quellwerk.example</cbc:ElectronicMail></cac:Contact></cac:Party></cac:AccountingSupplierParty>
<cac:AccountingCustomerParty><cac:Party><cac:PartyName><cbc:Name>Gartenbau Example</cbc:Name></cac:PartyName></cac:Party></cac:AccountingCustomerParty>
<cac:PaymentMeans><cac:PayeeFinancialAccount><cbc:ID>DE00000000000000000000</cbc:ID><cac:FinancialInstitutionBranch><cbc:ID>EXAMPLE0XXX</cbc:ID></cac:FinancialInstitutionBranch></cac:PayeeFinancialAccount></cac:PaymentMeans>
<cac:TaxTotal><cbc:TaxAmount currencyID="CHF">18.00</cbc:TaxAmount></cac:TaxTotal>
<cac:TaxTotal>${cbc("TaxAmount", "19.90")}${ublTax("19.00", "90", "17.1")}${ublTax("7", "40.00", "2.80")}</cac:TaxTotal>
<cac:LegalMonetaryTotal>${cbc("LineExtensionAmount", "140.00")}${cbc("TaxExclusiveAmount", "130.00")}${cbc("TaxInclusiveAmount", "149.90")}${cbc("AllowanceTotalAmount", "10.00")}${cbc("PrepaidAmount", "49.90")}${cbc("PayableAmount", "100")}</cac:LegalMonetaryTotal>
${ublLine("Pump &amp; hose", "2", "50", "19", "100.00")}${ublLine("Manual", "4", "10.00", "7.0", "40.00")}</Invoice>`;
