import type { Example } from "#core/task/definition/definition";

export const examples: Example[] = [
  {
    lines: [
      "Sub Total            87,300",
      "Service 5%            4,365",
      "PB1 10%               9,167",
      "TOTAL               100,832",
      "Tip                   5,000",
      "Rounding                -32",
      "GRAND TOTAL         105,800",
      "Tunai               150,000",
      "Kembali              44,200",
    ],
    answer: {
      total: "105,800",
      subtotal: "87,300",
      tax: "9,167",
      service: "4,365",
      tip: "5,000",
      discount: null,
      rounding: "-32",
      cash: "150,000",
      card: null,
      change: "44,200",
    },
  },
];
