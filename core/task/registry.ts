/**
 * Every task, one line each; the exported name is the task's id and its folder's name. A new task is a new
 * folder and its line here (a bundler cannot scan folders at run time; a test finds a folder without a line).
 */
export { definition as invoice_v1 } from "./invoice_v1/definition.ts";
export { definition as items_light_v1 } from "./items_light_v1/definition.ts";
export { definition as payment_v1 } from "./payment_v1/definition.ts";
export { definition as receipt_fields_v1 } from "./receipt_fields_v1/definition.ts";
export { definition as receipt_fields_v2 } from "./receipt_fields_v2/definition.ts";
export { definition as receipt_v1 } from "./receipt_v1/definition.ts";
