import type { Example } from "#core/task/definition/definition";

export const examples: Example[] = [
  {
    lines: [
      "KEDAI RUNCIT SERI MAWAR",
      "12, Jalan Contoh 3/4",
      "43999 Kampung Contoh",
      "Tel: 03-5550 1188   GST ID: 000555011888",
      "Bill No: A-20417     19/07/2031 16:08",
      "Milo Tin 1kg",
      "  2 x 17.35              34.70 SR",
      "Gula 1kg      1           2.85",
      "Sub Total                37.55",
      "GST 6%                    2.08",
      "Rounding                  0.02",
      "TOTAL                 RM 39.65",
      "CASH                     50.00",
      "CHANGE                   10.35",
    ],
    answer: {
      merchant: {
        name: "KEDAI RUNCIT SERI MAWAR",
        address: "12, Jalan Contoh 3/4, 43999 Kampung Contoh",
        phone: "03-5550 1188",
        tax_id: "000555011888",
      },
      receipt_number: "A-20417",
      date: "19/07/2031",
      time: "16:08",
      currency: "RM",
      items: [
        { name: "Milo Tin 1kg", quantity: "2", unit_price: "17.35", price: "34.70" },
        { name: "Gula 1kg", quantity: "1", unit_price: null, price: "2.85" },
      ],
      totals: {
        subtotal: "37.55",
        discount: null,
        service: null,
        tax: "2.08",
        tip: null,
        rounding: "0.02",
        total: "RM 39.65",
      },
      payment: { method: "CASH", cash: "50.00", card: null, change: "10.35", card_last4: null },
    },
  },
];
