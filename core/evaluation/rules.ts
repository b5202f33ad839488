import { version as canonical } from "#core/canonical/rules-version";
import { version as comparison } from "#core/evaluation/compare/rules-version";

/**
 * The version of the rules of an evaluation: what values mean, and when two are the same. Figures of two versions may
 * differ where no answer does. An artifact names the first part alone.
 */
export const version = `${canonical}-${comparison}`;
