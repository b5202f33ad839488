/** Rules for requests that the zod schemas check but do not show in JSON Schema. */
import * as Task from "#core/task/task";
import { batches, groundTruths, sizes } from "#spec/limits";

type Json = { [key: string]: unknown };
interface ObjectSchema extends Json {
  properties: Record<string, Json>;
  required: string[];
}

/** Requests name an existing task. */
export function nameTasks(schemas: Record<string, Json>): void {
  const ids = Task.list().map(({ id }) => id);
  for (const { additionalProperties: more, properties } of Object.values(schemas)) {
    const task = (properties as ObjectSchema["properties"] | undefined)?.task_id;
    // Closed: the schema of a request.
    if (more === false && task !== undefined) Object.assign(task, { enum: ids });
  }
}

/**
 * An empty form field counts as missing, because browsers send empty inputs (functions/api/batch.ts,
 * functions/request/extract-body.ts).
 */
export function tellForms(schemas: Record<string, Json>): void {
  for (const [name, form] of Object.entries(schemas).filter(([name]) => name.endsWith("Form"))) {
    for (const field of Object.values((form as ObjectSchema).properties)) {
      if (field.type !== "string" || field.format === "binary") continue;
      delete field.minLength;
      if (Array.isArray(field.enum)) field.enum = [...field.enum, ""];
      if (typeof field.pattern === "string") field.pattern = `^(${field.pattern.replace(/^\^|\$$/g, "")})?$`;
    }
    const exactlyOne = name === "ExtractForm" ? ["file", "image_ref", "image_url"] : [];
    Object.assign(form, {
      description: "An empty field counts as missing.",
      ...(exactlyOne.length === 0 ? {} : { oneOf: exactlyOne.map((field) => ({ required: [field] })) }),
    });
  }
}

/** There are four kinds of uploads; the kind decides the maximum size and whether there is a `path` (core/upload). */
export function tellUploads(schemas: Record<string, Json>): void {
  const { properties, required, ...whole } = schemas.UploadRequest as ObjectSchema;
  const { path, kind = {}, bytes, ...others } = properties;
  const { default: _, enum: __, ...described } = kind;
  const of = (name: string, maximum: number, more: { required: string[]; path?: Json | undefined }) => ({
    ...whole,
    properties: {
      ...others,
      bytes: { ...bytes, maximum },
      kind: { ...described, const: name },
      ...(more.path === undefined ? {} : { path: more.path }),
    },
    required: [...required, ...more.required],
  });
  schemas.ImageUploadRequest = of("image", sizes.uploadPdfBytes, { required: [] });
  schemas.ManifestUploadRequest = of("manifest", batches.manifestBytes, { required: ["kind"] });
  schemas.DataUploadRequest = of("data", sizes.uploadPdfBytes, { required: ["kind", "path"], path });
  schemas.GroundTruthUploadRequest = of("ground_truth", groundTruths.bytes, { required: ["kind"] });
  schemas.UploadRequest = {
    description:
      "A picture (also without a `kind`), a manifest, a picture under the data root, or a ground truth.",
    // Not oneOf: linters require a discriminating field in every variant, and pictures need no `kind`.
    anyOf: ["Image", "Manifest", "Data", "GroundTruth"].map((name) => ({
      $ref: `#/components/schemas/${name}UploadRequest`,
    })),
  };
}
