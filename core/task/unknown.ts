import * as Near from "#core/near";

/**
 * The message about an unknown task: the name that was probably meant, else the existing ones.
 * @param ids - of all tasks; passed in, because an import would load them with every caller.
 */
export const unknownTask = (id: string, ids: readonly string[]): string =>
  `no such task${Near.choice(id, ids)}`;
