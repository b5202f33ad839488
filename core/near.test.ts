import { expect, test } from "vitest";
import * as Near from "#core/near";

const tasks = [
  "receipt_fields_v1",
  "receipt_fields_v2",
  "receipt_v1",
  "items_light_v1",
  "invoice_v1",
  "payment_v1",
];
const fields = ["task_id", "image_base64", "image_ref", "image_url", "mime_type", "request_id", "debug"];

test.each([
  ["task", fields, ["task_id"]],
  ["taskId", fields, ["task_id"]],
  ["TASK-ID", fields, ["task_id"]],
  ["image", fields, ["image_base64", "image_ref", "image_url"]],
  ["imageUrl", fields, ["image_url"]],
  ["base64", fields, ["image_base64"]],
  ["url", fields, ["image_url"]],
  ["mimetpye", fields, ["mime_type"]],
  ["id", fields, []],
  ["webhook", fields, []],
  ["", fields, []],
  ["x".repeat(5000), fields, []],
  ["reciept_v1", tasks, ["receipt_v1"]],
  ["receipt_fields_v3", tasks, ["receipt_fields_v1", "receipt_fields_v2"]],
  ["invoice", tasks, ["invoice_v1"]],
  ["Invoice V1", tasks, ["invoice_v1"]],
  ["receipt_fields", tasks, ["receipt_fields_v1", "receipt_fields_v2"]],
  ["successful", ["succeeded", "failed"], []],
  ["cancelled", ["queued", "canceled"], ["canceled"]],
])("%s", (given, names, meant) => {
  expect(Near.near(given, names)).toEqual(meant);
});

test("is said as a question", () => {
  expect(Near.hint("image", fields)).toBe(": did you mean `image_base64`, `image_ref` or `image_url`?");
  expect(Near.hint("zz", fields)).toBe("");
});
