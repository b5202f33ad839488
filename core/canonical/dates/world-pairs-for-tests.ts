import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

/**
 * For tests alone: every region of CLDR with the currencies that are tender there and the locales that people there
 * have. Data of `cldr-core`, which no bundle has.
 */

export interface Pair {
  region: string;
  currency: string;
  locale: string;
}

const require = createRequire(import.meta.url);
const json = (path: string): unknown =>
  JSON.parse(readFileSync(require.resolve(`cldr-core/${path}`), "utf8"));

interface CurrencyData {
  supplemental: {
    currencyData: { region: Record<string, Record<string, { _to?: string; _tender?: string }>[]> };
  };
}

/** The tags of CLDR's locales whose data this Node has. */
export function locales(): string[] {
  const { availableLocales } = json("availableLocales.json") as { availableLocales: { full: string[] } };
  return availableLocales.full.filter(
    (tag) => tag !== "und" && Intl.DateTimeFormat.supportedLocalesOf(tag).length > 0,
  );
}

export function pairs(): Pair[] {
  const { supplemental } = json("supplemental/currencyData.json") as CurrencyData;
  const byRegion = new Map<string, string[]>();
  for (const tag of locales()) {
    const { region = "" } = new Intl.Locale(tag).maximize();
    byRegion.set(region, [...(byRegion.get(region) ?? []), new Intl.Locale(tag, { region }).toString()]);
  }
  return Object.entries(supplemental.currencyData.region).flatMap(([region, list]) =>
    list
      .flatMap((entry) => Object.entries(entry))
      .filter(([, { _to, _tender }]) => _to === undefined && _tender !== "false")
      .flatMap(([currency]) => (byRegion.get(region) ?? []).map((locale) => ({ region, currency, locale }))),
  );
}
