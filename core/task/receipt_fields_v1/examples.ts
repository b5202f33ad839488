import type { Example } from "#core/task/definition/definition";

export const examples: Example[] = [
  {
    lines: [
      "Sub Total            87,300",
      "Service 5%            4,365",
      "PB1 10%               9,167",
      "TOTAL               100,832",
      "Rounding                -32",
      "GRAND TOTAL         100,800",
      "Tunai               150,000",
      "Kembali              49,200",
    ],
    answer: {
      total: "100,800",
      subtotal: "87,300",
      tax: "9,167",
      service: "4,365",
      discount: null,
      cash: "150,000",
      card: null,
      change: "49,200",
    },
  },
];
