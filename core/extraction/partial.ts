import type { Rule } from "#core/canonical/checks";

/** Rules that look at one row at a time: a list that breaks off takes nothing from the rows before. */
const byRow: ReadonlySet<Rule["rule"]> = new Set(["item_price_is_quantity_times_unit"]);

/**
 * The rules that can be judged although this list breaks off: those that look at its rows one by one, and those that
 * do not look at it at all. A sum over a part of the rows would be wrong without any fault of the receipt.
 */
export function rulesWithout(rules: readonly Rule[], brokenList: string): Rule[] {
  const within = `${brokenList}[]`;
  return rules.filter(
    (rule) =>
      byRow.has(rule.rule) ||
      ![...Object.values(rule), ...Object.values(rule.beside ?? {})].some(
        (path) => typeof path === "string" && path.startsWith(within),
      ),
  );
}
