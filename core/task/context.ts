import * as Budget from "#core/image/budget";
import * as Task from "./task.ts";

/** The least context in tokens in which a task's answer has its full length, by task. docs/gpu.md has the table. */
export function leastContexts(): [id: string, tokens: number][] {
  return Task.list().map(({ id, prompt, maxOutputTokens }) => [
    id,
    Budget.leastContext({ promptTokens: Budget.textTokens(prompt), maxOutputTokens }),
  ]);
}

/** Tasks that a model with this context cannot answer at full length. */
export function tooLargeFor(contextTokens: number): string[] {
  return leastContexts().flatMap(([id, tokens]) => (tokens > contextTokens ? [id] : []));
}
