import type { Example } from "#core/task/definition/definition";

export const examples: Example[] = [
  {
    lines: [
      "2x Kopi Susu        18.000    36.000",
      "Roti Bakar                    22.500",
      "  extra keju",
      "Promo                         -5.000",
      "TOTAL                         53.500",
    ],
    answer: {
      items: [
        { name: "Kopi Susu", quantity: "2x", unit_price: "18.000", price: "36.000" },
        { name: "Roti Bakar", quantity: null, unit_price: null, price: "22.500" },
        { name: "Promo", quantity: null, unit_price: null, price: "-5.000" },
      ],
    },
  },
];
