/*
 * Every keyword of JSON Schema (2020-12, draft-07, OpenAPI's additions), by how a caller's schema may use it. Tested
 * with vLLM 0.32 and xgrammar 0.2.8. A keyword in none of these tables is unknown and may be a typo. Of the keywords
 * refused here, servers answer 400 to some without naming them, and silently ignore the rest.
 */

const numeric = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] as const;

/** Keywords allowed beside a type; servers enforce them, or they are checked afterwards (core/task/forms.ts). */
export const keywordsByType: Record<string, readonly string[]> = {
  object: ["properties", "required", "additionalProperties"],
  array: ["items", "prefixItems", "minItems", "maxItems"],
  string: ["format", "pattern", "contentEncoding", "minLength", "maxLength", "enum", "const"],
  number: [...numeric, "enum", "const"],
  integer: [...numeric, "enum", "const"],
  boolean: ["enum", "const"],
  null: ["enum", "const"],
};

/** Keywords allowed without a type. */
export const applicators = ["anyOf", "oneOf", "$ref"] as const;

/** Keywords without an assertion: left out before sending. */
export const annotations: ReadonlySet<string> = new Set([
  ...["$schema", "$id", "id", "$comment", "title", "default", "examples", "example"],
  ...["deprecated", "readOnly", "writeOnly"],
]);

const afterwards = "check it after the answer";
const refused: Record<string, string> = {
  allOf: "merge the schemas",
  not: afterwards,
  if: afterwards,
  // biome-ignore lint/suspicious/noThenProperty: the word is JSON Schema's.
  then: afterwards,
  else: afterwards,
  dependentRequired: afterwards,
  dependentSchemas: afterwards,
  dependencies: afterwards,
  pattern: "check the form after the answer",
  patternProperties: "name the properties, and check the rest after the answer",
  propertyNames: "name the properties, and check the rest after the answer",
  unevaluatedProperties: "use additionalProperties: false",
  minProperties: "list what must be there in required, and check the number after the answer",
  maxProperties: "check the number after the answer",
  multipleOf: afterwards,
  uniqueItems: afterwards,
  contains: afterwards,
  minContains: afterwards,
  maxContains: afterwards,
  additionalItems: "use prefixItems with items: false",
  unevaluatedItems: "use prefixItems with items: false",
  contentEncoding: afterwards,
  contentMediaType: afterwards,
  contentSchema: afterwards,
  nullable: 'use a list of types: ["string","null"]',
  discriminator: "anyOf alone is enough",
  xml: "leave it out",
  externalDocs: "leave it out",
  $defs: "put the definitions at the top",
  definitions: "put the definitions at the top",
  $anchor: "refer to #/$defs/name",
  $dynamicRef: "refer to #/$defs/name",
  $dynamicAnchor: "refer to #/$defs/name",
  $recursiveRef: "refer to #",
  $recursiveAnchor: "refer to #",
  $vocabulary: "leave it out",
};

export const refusedKeywords: readonly string[] = Object.keys(refused);

/** Why a keyword is not sent. Words of JSON Schema may be repeated to the caller; anything else may be content. */
export function refusal(keyword: string): string {
  const advice = Object.hasOwn(refused, keyword) ? refused[keyword] : undefined;
  return advice === undefined
    ? "has a keyword that JSON Schema does not have"
    : `${keyword} is not held by model servers: ${advice}`;
}
