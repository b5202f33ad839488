/**
 * The HTTP status of a failed call of an AWS SDK's client; undefined if no answer came. Recognized by its fields: to ask
 * for its class would load the SDK before the first call.
 */
export function statusOf(thrown: unknown): number | undefined {
  const isAnswer = thrown instanceof Error && "$fault" in thrown && "$metadata" in thrown;
  return isAnswer ? (thrown.$metadata as { httpStatusCode?: number }).httpStatusCode : undefined;
}
