import type { Rule } from "#core/canonical/checks/rule";

/** Rules about one row at a time: they are also valid for the complete rows of an incomplete list. */
const byRow: ReadonlySet<Rule["rule"]> = new Set(["item_price_is_quantity_times_unit"]);

/**
 * The rules that can be checked although this list is incomplete: those about single rows, and those that do not use
 * its sum. A sum over some of the rows would report a fault that the receipt does not have. If the list is only
 * additional evidence (`beside`), the rule is checked without it. A sum of taxes replaces the tax, so such a rule
 * cannot be checked without the list.
 */
export function rulesWithout(rules: readonly Rule[], brokenList: string): Rule[] {
  const within = `${brokenList}[]`;
  const isWithin = (path: unknown) => typeof path === "string" && path.startsWith(within);
  return rules.flatMap((rule) => {
    if (byRow.has(rule.rule)) return [rule];
    const { beside = {} } = rule;
    if (Object.values(rule).some(isWithin) || isWithin(beside.taxes)) return [];
    const whole = Object.fromEntries(Object.entries(beside).filter(([, path]) => !isWithin(path)));
    return [{ ...rule, beside: whole }];
  });
}
