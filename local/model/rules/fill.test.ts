import { describe, expect, it } from "vitest";
import * as Task from "#core/task/task";
import * as Validate from "#core/task/validate";
import * as Facts from "#local/model/rules/facts";
import { fill } from "#local/model/rules/fill";
import { receipts } from "#local/model/rules/fixtures/receipts";
import * as TillPaper from "#test/support/till-paper";
import * as Tokens from "./tokens.ts";

const paper = `
SAMPLE STORE LTD
12/05/2019 14:30
2 Pens              1.50       3.00
Total                         £3.00
VISA                          £3.00`;

function ask(schema: Record<string, unknown>, text = paper): unknown {
  const facts = Facts.find([TillPaper.fromText(text)]);
  return JSON.parse(
    Tokens.fromFilled(fill(schema, facts))
      .map((token) => token.text)
      .join(""),
  );
}

const object = (properties: Record<string, unknown>) => ({ type: "object", properties });
const text = { type: ["string", "null"] };

describe("filling a schema", () => {
  it("goes by the names of the properties, in any spelling and nesting", () => {
    const schema = object({
      grandTotal: text,
      store: object({ name: text }),
      lineItems: { type: "array", items: object({ description: text, qty: text, line_total: text }) },
      payment: object({ payment_method: text, total: text }),
    });
    expect(ask(schema)).toEqual({
      grandTotal: "£3.00",
      store: { name: "SAMPLE STORE LTD" },
      lineItems: [{ description: "Pens", qty: "2", line_total: "3.00" }],
      payment: { payment_method: "VISA", total: "£3.00" },
    });
  });

  it("fills every field of receipt_fields_v2, tip and rounding among them", () => {
    const task = Task.get("receipt_fields_v2");
    const [example] = task?.examples ?? [];
    const receipt = `WARUNG CONTOH BIRU\n12/05/2031 14:30\n${example?.lines.join("\n")}`;
    expect(ask(task?.modelSchema ?? {}, receipt)).toEqual(example?.answer);
  });

  it("answers an unknown name with null, or with the emptiest value its type has", () => {
    const schema = object({
      favourite_color: text,
      weather: { type: "string" },
      stars: { type: "integer" },
      loyal: { type: "boolean" },
      remarks: { type: "array", items: text },
      mood: { enum: ["good", "bad"] },
    });
    expect(ask(schema)).toEqual({
      favourite_color: null,
      weather: "",
      stars: 0,
      loyal: false,
      remarks: [],
      mood: "good",
    });
  });

  it("follows numbers, enums, formats, references and alternatives", () => {
    const schema = {
      ...object({
        total: { type: "number" },
        currency: { enum: ["€", "£", null] },
        date: { anyOf: [{ type: "string", format: "date" }, { type: "null" }] },
        time: { type: ["string", "null"], format: "time" },
        merchant: { $ref: "#/$defs/party" },
        items: { type: "array", items: { $ref: "#/$defs/item" } },
      }),
      $defs: { party: object({ name: text, email: text }), item: object({ price: { type: "number" } }) },
    };
    expect(ask(schema)).toEqual({
      total: 3,
      currency: "£",
      date: "2019-05-12",
      time: "14:30:00",
      merchant: { name: "SAMPLE STORE LTD", email: null },
      items: [{ price: 3 }],
    });
  });

  it("survives a schema that refers to itself", () => {
    const schema = {
      ...object({ items: { $ref: "#/$defs/list" } }),
      $defs: { list: { $ref: "#/$defs/list" } },
    };
    expect(ask(schema)).toEqual({ items: null });
  });

  it("gives nothing for an empty paper", () => {
    expect(
      ask(object({ total: text, items: { type: "array", items: object({ name: text }) } }), "x"),
    ).toEqual({
      total: null,
      items: [],
    });
  });

  it.each(Task.list().map((task) => [task.id, task] as const))(
    "answers %s as its schema demands",
    (_, task) => {
      for (const receipt of receipts) {
        const answer = ask(task.modelSchema, receipt.text);
        expect({ receipt: receipt.name, ...Validate.validate(task, answer) }).toMatchObject({
          ok: true,
          errors: [],
        });
      }
    },
  );
});
