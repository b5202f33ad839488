import type { Debug } from "./debug.ts";
import type { Overridden } from "./own-schema.ts";
import * as Task from "./task.ts";

export { Debug } from "./debug.ts";

/**
 * The task with the caller's prompt and schema, and new hashes. A field of the task is kept if the new schema has a
 * string at its path (without a format, or with the same one); a check is kept if all of its fields are. Constraints of
 * the schema that are not sent to the model server are checked afterwards. The schema is untrusted until it has passed
 * the lint; nothing of it is compiled before.
 * @throws AppError `invalid_request` with issues at `debug.schema_override…` for a schema that may not be sent to a
 *   model server.
 */
export async function override(task: Task.Task, debug: Debug | undefined): Promise<Overridden> {
  const prompted = debug?.prompt_override === undefined ? task : withPrompt(task, debug.prompt_override);
  const limited = debug?.max_tokens === undefined ? {} : { maxOutputTokens: debug.max_tokens };
  const schema = debug?.schema_override;
  if (schema === undefined) {
    const { validate } = await import("./validate.ts");
    return { task: { ...prompted, ...limited }, validate: (value) => validate(task, value) };
  }
  const { withSchema } = await import("./own-schema.ts");
  const overridden = await withSchema(prompted, schema);
  return { ...overridden, task: { ...overridden.task, ...limited } };
}

function withPrompt(task: Task.Task, text: string): Task.Task {
  const prompt = text.replaceAll(/\r\n?/g, "\n");
  return { ...task, prompt, promptSha256: Task.sha256(prompt) };
}
