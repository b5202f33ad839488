/**
 * Which messages of a batch have failed, from a function's answer with `ReportBatchItemFailures` on.
 * By AWS's rules for SQS: nothing (null, no list, an empty list) is success of all; an entry that is malformed,
 * empty or names no message of the batch makes the whole batch a failure.
 */
export function failedIds(payload: string, messageIds: readonly string[]): readonly string[] {
  let answer: unknown;
  try {
    answer = JSON.parse(payload);
  } catch {
    return messageIds;
  }
  if (answer === null) return [];
  if (typeof answer !== "object" || Array.isArray(answer)) return messageIds;
  const failures = "batchItemFailures" in answer ? answer.batchItemFailures : null;
  if (failures === null) return [];
  if (!Array.isArray(failures)) return messageIds;
  const failed = failures.map((entry: unknown) =>
    typeof entry === "object" && entry !== null && "itemIdentifier" in entry
      ? entry.itemIdentifier
      : undefined,
  );
  return failed.every((id): id is string => typeof id === "string" && messageIds.includes(id))
    ? failed
    : messageIds;
}
