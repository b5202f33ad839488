import type { Example } from "#core/task/definition/definition";

export const examples: Example[] = [
  {
    lines: [
      "Datum 17.03.2031    Uhrzeit 18:42",
      "Summe          EUR 37,45",
      "Kartenzahlung girocard",
      "Betrag         EUR 37,45",
      "Nr. ############4821 0001",
      "Terminal-ID: 54017735  TA-Nr 006342",
      "Genehmigungs-Nr 719384",
    ],
    answer: {
      total: "EUR 37,45",
      currency: "EUR",
      method: "girocard",
      cash: null,
      card: "EUR 37,45",
      change: null,
      card_brand: "girocard",
      card_last4: "4821",
      approval_code: "719384",
      reference_number: "006342",
      terminal_id: "54017735",
      date: "17.03.2031",
      time: "18:42",
    },
  },
];
