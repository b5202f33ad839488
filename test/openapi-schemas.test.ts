import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import type * as z from "zod";
import * as Id from "#core/id";
import { ExtractRequest } from "#core/reading/schema";
import { RunEnded } from "#core/run/notify/schema";
import { BatchRequest, ManifestLine } from "#core/run/schema";
import * as Task from "#core/task/task";
import * as DataRoot from "#core/upload/data-root";
import { UploadRequest } from "#core/upload/upload";
import * as Secret from "#core/webhook/secret";
import { examples } from "#scripts/openapi/examples";
import { patternsOf } from "#test/support/patterns";
import document from "../docs/openapi.json" with { type: "json" };

type Json = { [key: string]: unknown };
const schemas = document.components.schemas as unknown as Record<string, Json>;
const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema(document, "doc");
const fits = (name: string) => {
  const validate = ajv.compile({ $ref: `doc#/components/schemas/${name}` });
  return (value: unknown) => validate(value) as boolean;
};

/** Every object of the document, with its path. */
function* nodes(value: unknown, at = ""): Generator<[string, Json]> {
  if (Array.isArray(value)) for (const [i, one] of value.entries()) yield* nodes(one, `${at}/${i}`);
  else if (typeof value === "object" && value !== null) {
    yield [at, value as Json];
    for (const [name, child] of Object.entries(value))
      if (name !== "example" && name !== "examples") yield* nodes(child, `${at}/${name}`);
  }
}

describe("the schemas of docs/openapi.json", () => {
  test("have patterns that engines without JavaScript's own constructs can build, and that mean the same there", () => {
    const patterns = patternsOf(document);
    expect(patterns.length).toBeGreaterThan(8);
    for (const pattern of patterns) {
      expect(() => [new RegExp(pattern), new RegExp(pattern, "u")], pattern).not.toThrow();
      // Look-around, named groups and back references; classes that are wider elsewhere; code points in JavaScript's
      // notation.
      expect(pattern).not.toMatch(/\(\?[^:]|\\[1-9kdDwWsSbBpPuUc]|[*+?}]\+/);
      // RE2 repeats up to 1,000 times.
      for (const [, , most] of pattern.matchAll(/\{(\d+),(\d*)\}/g)) expect(Number(most)).toBeLessThan(1_000);
      expect(pattern).toMatch(/^\^.*\$$/);
    }
  });

  test("enums hold only texts, because some generators drop a schema with other enums", () => {
    for (const [at, { enum: values }] of nodes(document.components.schemas))
      if (Array.isArray(values))
        for (const value of values) expect(value === null || typeof value === "string", at).toBe(true);
  });

  test("no field is always null, no body has defaults that generators would demand, every operation says what it does", () => {
    for (const [at, node] of nodes(document.components.schemas)) {
      if (/\/properties\/\w+$/.test(at)) expect(node.type, at).not.toBe("null");
      if (typeof node.default !== "object") expect(node, at).not.toHaveProperty("default");
    }
    for (const [path, methods] of Object.entries(document.paths))
      for (const [method, operation] of Object.entries(methods))
        expect((operation as Json).description, `${method} ${path}`).toMatch(/\w{3}/);
  });

  const bodies: readonly [string, z.ZodType, unknown, boolean][] = [
    ["ExtractRequest", ExtractRequest, { image_base64: "AA==" }, true],
    ["ExtractRequest", ExtractRequest, {}, false],
    ["ExtractRequest", ExtractRequest, { image_base64: "AA==", image_url: "https://a.example/" }, false],
    ["ExtractRequest", ExtractRequest, { image_base64: "AA==", image: 1 }, false],
    ["BatchRequest", BatchRequest, { images_dir: "shared", glob: "*", exts: ["png"] }, true],
    ["BatchRequest", BatchRequest, { glob: "*" }, false],
    ["BatchRequest", BatchRequest, { manifest: [{ image_key: "shared/a.png" }], glob: "*" }, false],
    ["BatchRequest", BatchRequest, { manifest: [{ image_key: "shared/a.png" }], exts: ["png"] }, false],
    ["BatchRequest", BatchRequest, { manifest: [{ image_key: "shared/a.png" }], images_dir: "" }, false],
    ["ManifestLine", ManifestLine, { image_key: "shared/a.png", custom_id: "é 漢字" }, true],
    ["ManifestLine", ManifestLine, { image_key: "shared/a.png", custom_id: "a\u0000" }, false],
    ["ManifestLine", ManifestLine, { image_key: "shared/a.png", custom_id: "a\u0085" }, false],
    ["ManifestLine", ManifestLine, { custom_id: "a" }, false],
    ["UploadRequest", UploadRequest, { bytes: 1 }, true],
    ["UploadRequest", UploadRequest, { bytes: 1, kind: "image" }, true],
    ["UploadRequest", UploadRequest, { bytes: 1, kind: "manifest" }, true],
    ["UploadRequest", UploadRequest, { bytes: 1, kind: "data", path: "a/b.png" }, true],
    ["UploadRequest", UploadRequest, { bytes: 1, kind: "data" }, false],
    ["UploadRequest", UploadRequest, { bytes: 1, kind: "image", path: "a" }, false],
    ["UploadRequest", UploadRequest, { bytes: 1, path: "a" }, false],
    ["UploadRequest", UploadRequest, { bytes: 0 }, false],
  ];
  test.each(bodies)("of %s accept and refuse the same bodies as the code", (name, schema, body, right) => {
    expect([schema.safeParse(body).success, fits(name)(body)], JSON.stringify(body)).toEqual([right, right]);
  });

  test("have the same forms of ids and keys as the code", () => {
    const names = ["a", "A.b_c-1", "", "-a", "a~1", "a~01", "a~1000000", "a/b", "é", "a\n", "a".repeat(128)];
    for (const name of [...names, "a".repeat(101), "a".repeat(129)]) {
      expect(Id.readableIdPattern.test(name), name).toBe(Id.isReadableId(name));
      expect(Id.requestIdPattern.test(name), name).toBe(Id.isRequestId(name));
      expect(Id.runIdPattern.test(name), name).toBe(Id.isRunId(name));
    }
    const keys = ["a", "a/b", ".a/..b/...", "", "/a", "a/", "a//b", "a/./b", "../a", "a\\b", "a\nb", "漢/字"];
    for (const key of keys)
      expect(new RegExp(DataRoot.keyPattern).test(key), key).toBe(DataRoot.shapeProblem(key) === undefined);
  });
});

describe("the answers of docs/openapi.json", () => {
  test("a result has the fields of its task's schema, selected by task_id", () => {
    const told = schemas.ExtractByTask?.discriminator as { mapping: Record<string, string> } | undefined;
    const mapping = told?.mapping ?? {};
    expect(Object.keys(mapping)).toEqual(Task.list().map(({ id }) => id));
    for (const { id, validationSchema, description } of Task.list()) {
      const variant = schemas[mapping[id]?.split("/").at(-1) ?? ""]?.properties as Record<string, Json>;
      const { $schema: _, ...schema } = validationSchema;
      expect(schemas[String(variant.result?.$ref).split("/").at(-1) ?? ""]).toEqual({
        description,
        ...schema,
      });
    }
    const extract = examples()["POST /v1/extract"]?.responses?.[200] as Json & { result: Json };
    const fitsExtract = fits("Extract");
    expect(fitsExtract(extract)).toBe(true);
    const { total: _, ...broken } = extract.result;
    expect(fitsExtract({ ...extract, result: broken }), "the schema is not met").toBe(false);
    expect(fitsExtract({ ...extract, result: broken, schema_ok: false }), "and it says so").toBe(true);
    expect(fitsExtract({ ...extract, result: null, schema_ok: null }), "nothing was read").toBe(true);
    expect(fitsExtract({ ...extract, task_id: "payment_v1" }), "another task").toBe(false);
  });

  test("a webhook has the headers that are sent, and a body that is one of the document's", () => {
    const { parameters } = document.webhooks.runEnded.post;
    const sent = Secret.headers([`whsec_${Buffer.alloc(32).toString("base64")}`], {
      ...{ id: "msg_1", at: new Date(), body: "{}" },
    });
    expect(["content-type", ...parameters.map(({ name }) => name)].toSorted()).toEqual(
      Object.keys(sent).toSorted(),
    );
    expect(Object.keys(RunEnded.shape)).toEqual(Object.keys(schemas.RunEnded?.properties as Json));
  });
});
