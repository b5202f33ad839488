import Ajv from "ajv/dist/2020.js";
import { expect, test } from "vitest";
import * as Task from "#core/task/task";
import document from "../../docs/openapi.json" with { type: "json" };
import * as Accumulator from "./accumulator.ts";
import * as Figures from "./figures.ts";

test("figures have the schema of the OpenAPI document, even if nothing was scored", () => {
  const ajv = new Ajv.default({ strict: false, validateFormats: false });
  ajv.addSchema(document, "api");
  const validate = ajv.compile({ $ref: "api#/components/schemas/EvalSummary" });
  for (const task of Task.list()) {
    const { summary } = Figures.of(Accumulator.create(task.fields));
    const isValid = validate(JSON.parse(JSON.stringify(summary)));
    expect(isValid, `${task.id}: ${JSON.stringify(validate.errors?.slice(0, 3))}`).toBe(true);
  }
});
