import { expect, test } from "vitest";
import { failedIds } from "#local/queue/report";

const ids = ["a", "b"];

test.each([
  ["null", []],
  ["{}", []],
  ['{"batchItemFailures":null}', []],
  ['{"batchItemFailures":[]}', []],
  ['{"batchItemFailures":[{"itemIdentifier":"b"}]}', ["b"]],
])("%s means that only the named messages have failed", (payload, failed) => {
  expect(failedIds(payload, ids)).toEqual(failed);
});

test.each([
  ["no JSON"],
  ['"text"'],
  ["7"],
  ["[]"],
  ['{"batchItemFailures":"a"}'],
  ['{"batchItemFailures":[{"itemIdentifier":""}]}'],
  ['{"batchItemFailures":[{"itemIdentifier":null}]}'],
  ['{"batchItemFailures":[{"id":"a"}]}'],
  ['{"batchItemFailures":["a"]}'],
  ['{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"of another batch"}]}'],
])("%s makes the whole batch a failure", (payload) => {
  expect(failedIds(payload, ids)).toEqual(ids);
});
