// Written by `npm run task -- release ID`: every task by its id, for a bundler cannot look into folders.
export { definition as invoice_v1 } from "./invoice_v1/definition.ts";
export { definition as items_light_v1 } from "./items_light_v1/definition.ts";
export { definition as payment_v1 } from "./payment_v1/definition.ts";
export { definition as receipt_fields_v1 } from "./receipt_fields_v1/definition.ts";
export { definition as receipt_fields_v2 } from "./receipt_fields_v2/definition.ts";
export { definition as receipt_v1 } from "./receipt_v1/definition.ts";
