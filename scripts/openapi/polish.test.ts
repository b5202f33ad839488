import { expect, test } from "vitest";
import document from "../../docs/openapi.json" with { type: "json" };
import { plain } from "./polish.ts";

test("beside a reference no property is forbidden: every property would be", () => {
  const schema = { $ref: "#/components/schemas/A", additionalProperties: false, description: "of A" };
  plain(schema);
  expect(schema).toEqual({ $ref: "#/components/schemas/A", description: "of A" });
  expect(JSON.stringify(document)).not.toMatch(
    /"additionalProperties":false,(?:"description":"[^"]*",)?"\$ref"/,
  );
});
