import { expect, test } from "vitest";
import type { Made } from "#core/export/formats";
import * as Given from "#core/export/given";
import * as Papers from "#test/support/papers";

const without = (mapping: Record<string, unknown>, name: string) => ({ ...mapping, [name]: undefined });

/** A mapping with a mistake, and what is said of it. */
const wrongMappings: [Made, Record<string, unknown>, string][] = [
  [
    "datev",
    without(Papers.datev, "consultant"),
    "mapping.consultant: is missing: a whole number from 1001 to 9999999",
  ],
  ["datev", without(Papers.datev, "finalize"), "mapping.finalize: is missing: true or false"],
  [
    "datev",
    { ...Papers.datev, account_length: 9 },
    "mapping.account_length: must be a whole number from 4 to 8",
  ],
  [
    "datev",
    { ...Papers.datev, account: 4930 },
    "mapping.account: must be text, not a number: put it in quotes",
  ],
  ["datev", { ...Papers.datev, counter_account: "1234567" }, "mapping.counter_account: has more digits than"],
  [
    "datev",
    { ...Papers.datev, period: { from: "2026-11-01", to: "2027-01-31" } },
    "mapping.period.to: lies behind",
  ],
  [
    "datev",
    { ...Papers.datev, taxes: [{ rate: "19", code: "9" }] },
    "mapping.taxes.0.code: must be a tax key",
  ],
  [
    "datev",
    { ...Papers.datev, taxes: [...Papers.datev.taxes, { rate: "7", code: "" }] },
    "mapping.taxes.3.rate: is there twice",
  ],
  ["datev", { ...Papers.datev, consultnt: 1 }, "mapping.consultnt: unknown field"],
  ["datev", { ...without(Papers.datev, "account"), vendors: [] }, "mapping.account: is missing: neither"],
  [
    "beancount",
    { ...Papers.beancount, account: "Expenses:office" },
    "mapping.account: must be an account such as",
  ],
  [
    "beancount",
    { ...Papers.beancount, account: "Expenses:食費" },
    "mapping.account: must be an account such as",
  ],
  ["xero", without(Papers.xero, "taxes"), "mapping.taxes: is missing: a list"],
  ["xero", without(Papers.xero, "date_format"), "mapping.date_format: is missing: one of `DD/MM/YYYY`"],
  ["xero", { ...Papers.xero, tips: { account: "420" } }, "mapping.tips.code: is missing: a tax code"],
  ["quickbooks", { ...Papers.quickbooks, currency: "€" }, "mapping.currency: must be an ISO 4217 code"],
];

test("a mapping that lacks something is refused with the place and what belongs there", async () => {
  for (const [format, mapping, message] of wrongMappings)
    await expect(Papers.made(format, [Papers.invoice(0)], mapping)).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining(message),
    });
  await expect(Given.parse("{", "datev")).rejects.toMatchObject({ param: "mapping" });
});
