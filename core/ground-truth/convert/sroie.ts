import * as Json from "#core/json";
import {
  ConvertError,
  type Converted,
  type Given,
  isMembers,
  type Options,
  pictureOf,
  placed,
} from "./converted.ts";

/** SROIE's fields, with their target paths. */
const places = {
  company: "merchant.name",
  date: "date",
  address: "merchant.address",
  total: "totals.total",
};

/**
 * A key file of SROIE's task 3 (ICDAR 2019, https://rrc.cvc.uab.es/?ch=13): one JSON object for the picture of the same
 * name.
 * @throws ConvertError for any other file.
 */
export function read(given: Given, options: Options): Converted[] {
  const { value, problem } = Json.read(given.text);
  if (problem !== undefined) throw new ConvertError(given.name, problem);
  if (!isMembers(value) || !Object.keys(places).some((name) => Object.hasOwn(value, name)))
    throw new ConvertError(given.name, "has none of SROIE's company, date, address and total");
  return [{ file: pictureOf(given, options), ...placed(Object.entries(value), places, options) }];
}
