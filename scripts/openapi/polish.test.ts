import { expect, test } from "vitest";
import document from "../../docs/openapi.json" with { type: "json" };
import { plain } from "./polish.ts";

test("`additionalProperties: false` is removed beside a reference, where it would forbid every property", () => {
  const schema = { $ref: "#/components/schemas/A", additionalProperties: false, description: "of A" };
  plain(schema);
  expect(schema).toEqual({ $ref: "#/components/schemas/A", description: "of A" });
  expect(JSON.stringify(document)).not.toMatch(
    /"additionalProperties":false,(?:"description":"[^"]*",)?"\$ref"/,
  );
});
