import * as z from "zod";

/*
 * Settings of a ledger that are not on the papers: its accounts, tax codes, numbers and periods. A JSON file of the
 * caller. No setting has a default that would be an assumption about the caller's books.
 *
 * taxes: the ledger's name for each rate that may be on a paper. If a format books without tax (`taxes` is left out),
 * the whole amount goes to the expense account.
 */

/** Maximum size of a mapping. */
export const maxBytes = 512 * 1024;
/** The rate of papers without any tax. */
export const noTax = "none";

const day = z.iso.date();
const currency = z.string().regex(/^[A-Z]{3}$/, "must be an ISO 4217 code such as EUR");
const rate = z
  .string()
  .regex(/^(none|[0-9]{1,2}(\.[0-9]{1,3})?)$/, 'must be a percentage such as "19" or "5.5", or "none"')
  .meta({ description: "As a plain decimal: `19`, `5.5`; `none`: papers on which no tax stands." });

const name = z.string().min(1).max(200);

/** The settings of all formats. @param account - schema of an account; @param code - schema of a tax code. */
function common<A extends z.ZodType<string>, T extends z.ZodType<Tax>>(account: A, tax: T) {
  return {
    currency: currency.meta({
      description: "The ledger's currency. A paper in another one is left out.",
    }),
    assume_currency: z.boolean().default(false).meta({
      description: "Treat papers whose currency is not known as in the ledger's.",
    }),
    account: account.optional().meta({
      description:
        "The account for expenses that no rule of `vendors` matches. Without it, such papers are left out.",
    }),
    vendors: z
      .array(
        z.strictObject({
          match: name.meta({ description: "Part of the vendor's name as it is printed, in any case." }),
          name: name.optional().meta({ description: "The vendor's name in the ledger." }),
          account: account.optional(),
          counter_account: account.optional(),
        }),
      )
      .max(2000)
      .default([])
      .meta({ description: "The first that fits counts." }),
    taxes: z.array(tax).min(1).max(50).optional(),
    rate_from_amounts: z.boolean().default(false).meta({
      description:
        "A paper that prints its tax and no rate is booked with the one rate of `taxes` that gives this tax to the cent. Otherwise such a paper is left out.",
    }),
    tips: z
      .strictObject({ account, code: z.string().max(50).optional() })
      .optional()
      .meta({
        description:
          "The account for a tip that is part of the total. Without it, papers with a tip are left out.",
      }),
    rounding: z
      .strictObject({ account, code: z.string().max(50).optional() })
      .optional()
      .meta({
        description:
          "The account for the rounding of a cash total. Without it, papers with such rounding are left out.",
      }),
    items: z
      .strictObject({ from: z.int().min(0).default(0), to: z.int().min(0).optional() })
      .default({ from: 0 })
      .meta({
        description:
          "Only the items with these indexes, both ends included: for a file that would be too large.",
      }),
  };
}

/** A rate and its entry in the ledger: a code, or an account to which the tax itself is booked. */
export interface Tax {
  rate: string;
  code?: string | undefined;
  account?: string | undefined;
}

/** The settings of every mapping. */
export interface Common {
  currency: string;
  assume_currency: boolean;
  account?: string | undefined;
  vendors: readonly Vendor[];
  taxes?: readonly Tax[] | undefined;
  rate_from_amounts: boolean;
  tips?: Part | undefined;
  rounding?: Part | undefined;
  items: { from: number; to?: number | undefined };
}
export interface Vendor {
  match: string;
  name?: string | undefined;
  account?: string | undefined;
  counter_account?: string | undefined;
}
interface Part {
  account: string;
  code?: string | undefined;
}

type Add = (path: PropertyKey[], message: string) => void;

/** Checks of settings that depend on each other, in every format. */
function agree(mapping: Common, add: Add): void {
  if (mapping.account === undefined && !mapping.vendors.some(({ account }) => account !== undefined))
    add(["account"], "is missing: neither it nor a rule of vendors says where an expense goes");
  const seen = new Set<string>();
  for (const [i, { rate: name }] of (mapping.taxes ?? []).entries()) {
    const plain = name.includes(".") ? name.replace(/\.?0+$/, "") : name;
    if (seen.has(plain)) add(["taxes", i, "rate"], "is there twice");
    seen.add(plain);
  }
  const { from, to } = mapping.items;
  if (to !== undefined && to < from) add(["items", "to"], "lies before `from`");
}

/** The checks of a whole mapping, as a zod refinement. */
function whole<M extends Common>(more: (mapping: M, add: Add) => void = () => undefined) {
  return (mapping: M, context: z.RefinementCtx) => {
    const add: Add = (path, message) => context.addIssue({ code: "custom", path, message });
    agree(mapping, add);
    more(mapping, add);
  };
}

const digits = z.string().regex(/^[0-9]{1,9}$/, "must be an account of 1 to 9 digits, in quotes");
const key = z
  .string()
  .regex(/^([0-9]{4})?$/, 'must be a tax key of four digits such as "0009", or "" for none');

const datev = {
  ...common(digits, z.strictObject({ rate, code: key })),
  taxes: z
    .array(z.strictObject({ rate, code: key }))
    .min(1)
    .max(50)
    .meta({
      description: 'The tax key (BU-Schlüssel) of each rate; `""` where the account itself decides.',
    }),
  counter_account: digits.meta({ description: "Gegenkonto: a creditor, a bank, the cash." }),
  consultant: z.int().min(1001).max(9_999_999).meta({ description: "Beraternummer" }),
  client: z.int().min(1).max(99_999).meta({ description: "Mandantennummer" }),
  fiscal_year_start: day.meta({ description: "WJ-Beginn" }),
  account_length: z
    .int()
    .min(4)
    .max(8)
    .meta({ description: "Sachkontenlänge; a person account has one digit more." }),
  period: z.strictObject({ from: day, to: day }).meta({
    description: "Datum von, Datum bis. A paper of another day is left out.",
  }),
  finalize: z
    .boolean()
    .meta({ description: "Festschreibung: whether the bookings are final when they are imported." }),
  description: z.string().min(1).max(30).optional().meta({ description: "Bezeichnung of the batch" }),
  initials: z
    .string()
    .regex(/^[A-Z]{2}([A-Z]{2})?$/, "must be two or four capitals")
    .optional()
    .meta({ description: "Diktatkürzel" }),
  chart: z
    .string()
    .regex(/^[0-9]{2,4}$/, 'must be the number of a chart such as "03" or "04"')
    .optional()
    .meta({ description: "Sachkontenrahmen" }),
};

export const Datev = z
  .strictObject(datev)
  .superRefine(
    whole((mapping, add) => {
      const { period, fiscal_year_start: start, account_length: length } = mapping;
      if (period.to < period.from) add(["period", "to"], "lies before `from`");
      if (period.from < start) add(["period", "from"], "lies before the fiscal year begins");
      if (period.to >= yearAfter(start)) add(["period", "to"], "lies behind the fiscal year");
      const accounts: [PropertyKey[], string | undefined][] = [
        [["account"], mapping.account],
        [["counter_account"], mapping.counter_account],
        [["tips", "account"], mapping.tips?.account],
        [["rounding", "account"], mapping.rounding?.account],
        ...mapping.vendors.flatMap((vendor, i): [PropertyKey[], string | undefined][] => [
          [["vendors", i, "account"], vendor.account],
          [["vendors", i, "counter_account"], vendor.counter_account],
        ]),
      ];
      for (const [path, account] of accounts)
        if (account !== undefined && account.length > length + 1)
          add(path, `has more digits than a person account has with an account_length of ${length}`);
      for (const part of ["tips", "rounding"] as const)
        if (!/^([0-9]{4})?$/.test(mapping[part]?.code ?? ""))
          add([part, "code"], "must be a tax key of four digits");
    }),
  )
  .meta({ id: "DatevMapping", description: "The mapping of `format=datev`." });
export type Datev = z.output<typeof Datev>;

function yearAfter(start: string): string {
  return `${String(Number(start.slice(0, 4)) + 1).padStart(4, "0")}${start.slice(4)}`;
}

/** Beancount's own syntax ("Accounts" in its language reference): each part begins with a capital or a digit. */
const beanAccount = z
  .string()
  .max(200)
  .regex(
    /^(Assets|Liabilities|Equity|Income|Expenses):[\p{Lu}\p{Nd}][\p{L}\p{Nd}-]*(:[\p{Lu}\p{Lo}\p{Nd}][\p{L}\p{Nd}-]*)*$/u,
    "must be an account such as Expenses:Office, each part with a capital or a digit in front",
  )
  // For engines without Unicode classes.
  .meta({ pattern: "^(Assets|Liabilities|Equity|Income|Expenses)(:[^ :]+)+$" });
const beanTax = z.strictObject({ rate, account: beanAccount.optional() }).meta({
  description: "The account for the tax itself; without one it is part of the expense.",
});

export const Beancount = z
  .strictObject({
    ...common(beanAccount, beanTax),
    counter_account: beanAccount.meta({
      description: "The account that is paid from, or that is owed: Liabilities:Payables.",
    }),
    flag: z.enum(["*", "!"]).default("*").meta({ description: "`!`: to be looked at." }),
    open_on: day.optional().meta({
      description:
        "The file opens the mapping's accounts on this day. Without it, the ledger that includes the file does.",
    }),
  })
  .superRefine(whole())
  .meta({ id: "BeancountMapping", description: "The mapping of `format=beancount`." });
export type Beancount = z.output<typeof Beancount>;

const code = z.string().min(1).max(100);
const billTax = z.strictObject({ rate, code });
const dateFormats = ["DD/MM/YYYY", "MM/DD/YYYY", "YYYY-MM-DD"] as const;

const bills = {
  ...common(code, billTax),
  date_format: z.enum(dateFormats).meta({ description: "The date format of the organization's country." }),
  payment_days: z.int().min(0).max(365).optional().meta({
    description:
      "A paper without a due date is due this many days after its date. Without this setting, such papers are left out.",
  }),
  number_from: z.enum(["custom_id", "file", "request_id"]).optional().meta({
    description: "The number for a paper that has none. Without this setting, such papers are left out.",
  }),
};
const lacksCode = (mapping: Common, add: Add) => {
  for (const part of ["tips", "rounding"] as const)
    if (mapping[part] !== undefined && mapping[part].code === undefined && mapping.taxes !== undefined)
      add([part, "code"], "is missing: a tax code, as every line of a bill has one");
};

export const Xero = z
  .strictObject({
    ...bills,
    taxes: z
      .array(billTax)
      .min(1)
      .max(50)
      .meta({ description: "The display name of each rate in Xero: `20% (VAT on Expenses)`." }),
  })
  .superRefine(whole(lacksCode))
  .meta({ id: "XeroMapping", description: "The mapping of `format=xero`." });
export type Xero = z.output<typeof Xero>;

export const Quickbooks = z
  .strictObject(bills)
  .superRefine(whole(lacksCode))
  .meta({ id: "QuickbooksMapping", description: "The mapping of `format=quickbooks`." });
export type Quickbooks = z.output<typeof Quickbooks>;
