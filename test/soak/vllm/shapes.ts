/**
 * The answers of two model servers to the same requests, compared by the names and types of their fields and the texts
 * of their errors.
 */
import { expect } from "vitest";

export interface Target {
  /** Ends in `/v1`. */
  readonly url: string;
  readonly key: string;
}

export interface Said {
  readonly status: number;
  readonly text: string;
  readonly body: unknown;
}

async function ask({ url, key }: Target, path: string, json?: unknown): Promise<Said> {
  const response = await fetch(`${url}${path}`, {
    method: json === undefined ? "GET" : "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });
  const text = await response.text();
  return { status: response.status, text, body: parsed(text) };
}

/** One completion of a short question. */
export const chat = (target: Target, more: Record<string, unknown>): Promise<Said> =>
  ask(target, "/chat/completions", {
    messages: [{ role: "user", content: "Total?" }],
    temperature: 0,
    ...more,
  });

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The names of all fields with the types of their values, `null` fitting any; a list by its first entry. */
function fieldsOf(value: unknown, path = ""): Map<string, string> {
  if (Array.isArray(value)) return fieldsOf(value[0], `${path}[]`);
  if (value === null || typeof value !== "object")
    return new Map([[path, value === null ? "null" : typeof value]]);
  return new Map(
    Object.entries(value).flatMap(([name, inner]) => [
      ...fieldsOf(inner, path === "" ? name : `${path}.${name}`),
    ]),
  );
}

/** Checks that every field of the scripted server's answer is in the original's, with the same type. */
function expectShape(original: unknown, double: unknown, what: string): void {
  const real = fieldsOf(original);
  for (const [name, type] of fieldsOf(double)) {
    expect([...real.keys()], `${what}: the server has no field ${name}`).toContain(name);
    const [a, b] = [real.get(name), type];
    if (a !== "null" && b !== "null") expect(b, `${what}: ${name}`).toBe(a);
  }
}

/** The events of a stream, without the closing mark, which must be there. */
function eventsOf({ text }: Said): unknown[] {
  const events = text.split("\n\n").flatMap((part) => (part.startsWith("data: ") ? [part.slice(6)] : []));
  expect(events.at(-1)).toBe("[DONE]");
  return events.slice(0, -1).map((event) => JSON.parse(event));
}

/**
 * Compares a scripted server with the original: list of models, whole and streamed answers, a wrong key, an unknown path.
 */
export async function compare(original: Target, double: Target, model: string): Promise<void> {
  const both = async (path: string, json?: unknown) =>
    [await ask(original, path, json), await ask(double, path, json)] as const;
  const same = ([real, scripted]: readonly [Said, Said], what: string) => {
    expect(scripted.status, what).toBe(real.status);
    expectShape(real.body, scripted.body, what);
  };
  same(await both("/models"), "the list of models");
  const question = { model, messages: [{ role: "user", content: "Total?" }], max_tokens: 8, temperature: 0 };
  same(await both("/chat/completions", question), "a whole answer");
  const streaming = {
    ...question,
    stream: true,
    stream_options: { include_usage: true, continuous_usage_stats: true },
  };
  const [real, scripted] = (await both("/chat/completions", streaming)).map(eventsOf);
  const merged = (events: unknown[] | undefined) => events?.map((event) => fieldsOf(event)) ?? [];
  const known = new Map(merged(real).flatMap((fields) => [...fields]));
  for (const fields of merged(scripted))
    for (const name of fields.keys()) expect([...known.keys()], `a stream's ${name}`).toContain(name);
  const stranger = (target: Target) => ask({ ...target, key: "wrong" }, "/models");
  same([await stranger(original), await stranger(double)], "a wrong key");
  same(await both("/nothing"), "an unknown path");
}
