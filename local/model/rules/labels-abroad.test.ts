import { describe, expect, it } from "vitest";
import { classify } from "#local/model/rules/labels";
import type { Role } from "#local/model/rules/role";

/** What tills of each country print, as the recognizer reads it: accents and spaces may be gone. */
const abroad: [string, Role | "none", string[]][] = [
  ["Spain", "total", ["TOTAL", "Total a pagar", "IMPORTE TOTAL", "Total EUR"]],
  ["Spain", "tax", ["IVA", "IVA 10%", "Cuota IVA", "IGIC 7%"]],
  ["Spain", "change", ["CAMBIO", "Su cambio"]],
  ["Spain", "cash", ["EFECTIVO", "Entregado"]],
  ["Spain", "card", ["TARJETA", "Tarjeta de credito"]],
  ["Spain", "discount", ["Descuento", "DTO."]],
  ["Portugal", "total", ["TOTAL A PAGAR", "Total"]],
  ["Portugal", "change", ["Troco"]],
  ["Portugal", "cash", ["Numerario", "Dinheiro"]],
  ["Portugal", "card", ["Multibanco", "Cartao"]],
  ["Italy", "total", ["TOTALE COMPLESSIVO", "TOTALE EURO", "Importo totale", "Da pagare"]],
  ["Italy", "tax", ["di cui IVA", "IVA 22%"]],
  ["Italy", "change", ["Resto"]],
  ["Italy", "cash", ["Pagamento contante", "CONTANTI"]],
  ["Italy", "card", ["Pagamento elettronico", "Carta di credito", "Bancomat"]],
  ["Netherlands", "total", ["TOTAAL", "Te betalen", "Totaal te betalen"]],
  ["Netherlands", "subtotal", ["Subtotaal"]],
  ["Netherlands", "tax", ["BTW 9%", "BTW hoog"]],
  ["Netherlands", "change", ["Wisselgeld", "Terug"]],
  ["Netherlands", "card", ["PIN", "Bankpas"]],
  ["Poland", "total", ["SUMA", "SUMA PLN", "Do zaplaty", "RAZEM"]],
  ["Poland", "tax", ["PTU A 23%", "SUMA PTU", "Kwota PTU"]],
  ["Poland", "change", ["Reszta"]],
  ["Poland", "cash", ["Gotowka"]],
  ["Czech Republic", "total", ["Celkem", "CELKEM K UHRADE", "K uhrade Kc"]],
  ["Czech Republic", "tax", ["DPH 12%"]],
  ["Czech Republic", "change", ["Vraceno"]],
  ["Hungary", "total", ["Fizetendo", "OSSZESEN Ft"]],
  ["Hungary", "cash", ["Keszpenz"]],
  ["Sweden", "total", ["Totalt", "Att betala", "SUMMA SEK"]],
  ["Sweden", "tax", ["Moms 25%", "varav moms 12%"]],
  ["Sweden", "card", ["Kontokort", "BANKKORT"]],
  ["Denmark", "total", ["I ALT", "At betale"]],
  ["Denmark", "change", ["Byttepenge", "Tilbage"]],
  ["Norway", "tax", ["herav MVA", "MVA 25%"]],
  ["Finland", "total", ["Yhteensa", "LOPPUSUMMA"]],
  ["Finland", "cash", ["Kateinen"]],
  ["Turkey", "total", ["TOPLAM", "Genel Toplam", "Odenecek Tutar"]],
  ["Turkey", "tax", ["KDV %10", "TOPKDV"]],
  ["Turkey", "cash", ["NAKIT"]],
  ["Turkey", "card", ["KREDI KARTI", "Banka Karti"]],
  ["Turkey", "subtotal", ["Ara Toplam"]],
  ["India", "tax", ["CGST 2.5%", "SGST@9%", "IGST 18%"]],
  ["India", "total", ["Grand Total", "Net Payable", "Bill Amount"]],
  ["India", "rounding", ["Round Off"]],
  ["India", "other", ["GSTIN: 32ABCDE1234F1Z5", "FSSAI No"]],
  [
    "anywhere",
    "none",
    ["Restaurant", "Kortbread", "Pinot Grigio", "Ivan's", "Cambridge", "Resort", "Sumac salad"],
  ],
];

describe("labels of other countries", () => {
  const cases = abroad.flatMap(([country, role, texts]) => texts.map((text) => ({ country, role, text })));

  it.each(cases)("$country: $text is $role", ({ role, text }) => {
    expect(classify(text)?.role ?? "none").toBe(role);
  });
});
