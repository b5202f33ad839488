import { version as canonical } from "#core/canonical/rules-version";
import { version as comparison } from "#core/evaluation/compare/rules-version";

/**
 * The version of an evaluation's rules: what values mean, and when two are equal. Figures of two versions may differ
 * although no answer does. An artifact contains only the first part.
 */
export const version = `${canonical}-${comparison}`;
