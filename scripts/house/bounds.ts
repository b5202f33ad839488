import type { MeasureName } from "./measures.ts";

/**
 * The most that each measure may find. 0 is a rule that holds; a larger number is today's count, which may shrink but
 * not grow. A change that removes some of them lowers the number.
 */
export const bounds: Readonly<Record<MeasureName, number>> = {
  "long-files": 0,
  "long-test-files": 0,
  "long-functions": 0,
  "long-test-functions": 1,
  parameters: 0,
  "file-circles": 0,
  "room-circles": 0,
  upward: 0,
  "upward-core": 0,
  "core-infra": 0,
  tables: 0,
  siblings: 0,
  unread: 0,
  "unread-types": 0,
  "unread-but-tests": 55,
  references: 0,
  duplicates: 0,
  "test-duplicates": 0,
  aliases: 0,
  twins: 0,
};
