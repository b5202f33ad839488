import type { Rule } from "#core/canonical/checks/rule";

/** Rules that look at one row at a time: a list that breaks off takes nothing from the rows before. */
const byRow: ReadonlySet<Rule["rule"]> = new Set(["item_price_is_quantity_times_unit"]);

/**
 * The rules that can be judged although this list breaks off: those that look at its rows one by one, and those that
 * do not add it up. A sum over a part of the rows would be wrong without any fault of the receipt; where it is only
 * what else the paper prints (`beside`), the rule does without. The sum of a list of taxes takes the place of a tax,
 * and without it the rule would say something else.
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
