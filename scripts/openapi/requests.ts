/** What of requests zod's schemas check and do not show. */
import * as Task from "#core/task/task";
import { batches, groundTruths, sizes } from "#spec/limits";

type Json = { [key: string]: unknown };
interface ObjectSchema extends Json {
  properties: Record<string, Json>;
  required: string[];
}

/** Requests name a task that there is. */
export function nameTasks(schemas: Record<string, Json>): void {
  const ids = Task.list().map(({ id }) => id);
  for (const { additionalProperties: more, properties } of Object.values(schemas)) {
    const task = (properties as ObjectSchema["properties"] | undefined)?.task_id;
    // Closed: something that is sent.
    if (more === false && task !== undefined) Object.assign(task, { enum: ids });
  }
}

/**
 * A field of a form that is left empty counts as one that is not there, as browsers send it (functions/api/batch.ts,
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
      description: "A field that is left empty counts as one that is not there.",
      ...(exactlyOne.length === 0 ? {} : { oneOf: exactlyOne.map((field) => ({ required: [field] })) }),
    });
  }
}

/** An upload is one of four: how large it may be, and whether it has a `path`, goes by its kind (core/upload). */
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
  schemas.ImageUploadRequest = of("image", sizes.uploadImageBytes, { required: [] });
  schemas.ManifestUploadRequest = of("manifest", batches.manifestBytes, { required: ["kind"] });
  schemas.DataUploadRequest = of("data", sizes.uploadImageBytes, { required: ["kind", "path"], path });
  schemas.GroundTruthUploadRequest = of("ground_truth", groundTruths.bytes, { required: ["kind"] });
  schemas.UploadRequest = {
    description:
      "A picture (also without a `kind`), a manifest, a picture under the data root, or a ground truth.",
    // Not oneOf: linters want a field that tells them apart in every one, and pictures need no `kind`.
    anyOf: ["Image", "Manifest", "Data", "GroundTruth"].map((name) => ({
      $ref: `#/components/schemas/${name}UploadRequest`,
    })),
  };
}
