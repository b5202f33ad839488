import currencyData from "cldr-core/supplemental/currencyData.json" with { type: "json" };
import territoryInfo from "cldr-core/supplemental/territoryInfo.json" with { type: "json" };

/** A region of CLDR, what is paid with there, and the languages that its papers may be printed in. */
export interface Region {
  region: string;
  /** ISO 4217, legal tender on `day`, no funds. */
  currencies: string[];
  /** Locales of the region that this runtime has data for: official languages and those of a hundredth of its people. */
  locales: string[];
}

type Tender = { [code: string]: { _from?: string; _to?: string; _tender?: string } };
type Population = { [language: string]: { _populationPercent?: string; _officialStatus?: string } };

/** A fixed day, so that the list does not change with the calendar. */
const day = "2026-11-30";

/** Every region of CLDR that has a currency on that day. */
export function regions(): Region[] {
  const tender = currencyData.supplemental.currencyData.region as Record<string, Tender[]>;
  const population = territoryInfo.supplemental.territoryInfo as Record<
    string,
    { languagePopulation?: Population }
  >;
  return Object.entries(tender).flatMap(([region, entries]) => {
    const codes = entries.flatMap((entry) =>
      Object.entries(entry).flatMap(([code, { _from, _to, _tender }]) =>
        _tender === "false" || (_from ?? day) > day || (_to ?? day) < day ? [] : [code],
      ),
    );
    if (codes.length === 0) return [];
    const locales = Object.entries(population[region]?.languagePopulation ?? {})
      .filter(
        ([, { _officialStatus, _populationPercent }]) => _officialStatus || Number(_populationPercent) >= 1,
      )
      .map(([language]) => `${language.replaceAll("_", "-")}-${region}`)
      .filter(
        (locale) => Intl.NumberFormat.supportedLocalesOf([locale], { localeMatcher: "lookup" }).length > 0,
      );
    return [{ region, currencies: [...new Set(codes)], locales: [...new Set(locales)] }];
  });
}
