/** Every `pattern` in the schemas of an OpenAPI document, once. */
export function patternsOf(document: unknown): string[] {
  const found = new Set<string>();
  const walk = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [name, child] of Object.entries(value))
      if (name === "pattern" && typeof child === "string") found.add(child);
      else if (name !== "example" && name !== "examples") walk(child);
  };
  walk(document);
  return [...found];
}
