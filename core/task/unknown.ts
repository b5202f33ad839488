import * as Near from "#core/near";

/**
 * What is said of a task that there is not: which one was meant, else which there are.
 * @param ids - of all tasks; imported here, they would come along wherever this is loaded late.
 */
export const unknownTask = (id: string, ids: readonly string[]): string =>
  `no such task${Near.choice(id, ids)}`;
