/**
 * Samples of a call for curl, TypeScript (Node 20 and newer) and Python (with `requests`), as `x-codeSamples` of the
 * document. Address and key come from `OCRLTY_URL` and `OCRLTY_API_KEY`, path parameters from their own variables;
 * files are read from the current folder.
 */
import type { Operation } from "#functions/request/operation";
import type { Route } from "#spec/routes";
import type { Examples } from "./examples.ts";

interface Sample {
  lang: string;
  label: string;
  source: string;
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly needsKey: boolean;
  /** A list means files with these names. */
  readonly form?: readonly [name: string, value: unknown][] | undefined;
  readonly json?: unknown;
  readonly answer: "json" | "text" | "none";
}

/** The samples for a route's operation. */
export function samples(route: Route, operation: Operation, { request, form }: Examples): Sample[] {
  const fields = form ?? (operation.bodyAs === "multipart" ? (request as object | undefined) : undefined);
  const call: Call = {
    method: route.method,
    path: route.path,
    needsKey: route.access !== "public",
    form: fields === undefined ? undefined : Object.entries(fields),
    json: operation.body === undefined || fields !== undefined ? undefined : (request ?? {}),
    answer: answerOf(operation),
  };
  return [
    { lang: "Shell", label: "curl", source: curl(call) },
    { lang: "TypeScript", label: "TypeScript", source: typescript(call) },
    { lang: "Python", label: "Python", source: python(call) },
  ];
}

function answerOf({ responses }: Operation): Call["answer"] {
  const [first] =
    Object.entries(responses)
      .find(([status]) => Number(status) < 300)
      ?.slice(1) ?? [];
  const response = first as Operation["responses"][number] | undefined;
  if (response?.schema === undefined) return "none";
  return /^application\/json/.test(response.contentType ?? "application/json") ? "json" : "text";
}

const filesOf = (form: Call["form"] = []) =>
  form.flatMap(([name, value]) =>
    Array.isArray(value) ? value.map((file) => [name, String(file)] as const) : [],
  );
const textsOf = (form: Call["form"] = []) =>
  form.flatMap(([name, value]) => (Array.isArray(value) ? [] : [[name, String(value)] as const]));

/** A POST with a body needs no `-X`. */
function curl({ method, path, needsKey, form, json }: Call): string {
  const withBody = form !== undefined || json !== undefined;
  const words = [
    "curl -sS",
    ...(method === "GET" || (method === "POST" && withBody) ? [] : [`-X ${method}`]),
    `"$OCRLTY_URL${path.replace(/\{(\w+)\}/g, (_, name: string) => `$${name.toUpperCase()}`)}"`,
    ...(needsKey ? ['-H "Authorization: Bearer $OCRLTY_API_KEY"'] : []),
    ...textsOf(form).map(([name, value]) => `-F "${name}=${value}"`),
    ...filesOf(form).map(([name, file]) => `-F "${name}=@${file}"`),
    ...(json === undefined
      ? []
      : ['-H "Content-Type: application/json"', `-d '${JSON.stringify(json).replaceAll("'", "'\\''")}'`]),
  ];
  return words.join(" ");
}

function typescript({ method, path, needsKey, form, json, answer }: Call): string {
  const files = filesOf(form);
  const headers = [
    ...(needsKey ? [`Authorization: \`Bearer \${process.env.OCRLTY_API_KEY}\``] : []),
    ...(json === undefined ? [] : ['"Content-Type": "application/json"']),
  ];
  const options = [
    ...(method === "GET" ? [] : [`  method: "${method}",`]),
    ...(headers.length === 0 ? [] : [`  headers: { ${headers.join(", ")} },`]),
    ...(form === undefined ? [] : ["  body: form,"]),
    ...(json === undefined ? [] : [`  body: JSON.stringify(${indented(JSON.stringify(json, null, 2))}),`]),
  ];
  const url = `\`\${process.env.OCRLTY_URL}${path.replace(/\{(\w+)\}/g, (_, name: string) => `\${process.env.${name.toUpperCase()}}`)}\``;
  return [
    ...(files.length === 0 ? [] : ['import { readFile } from "node:fs/promises";', ""]),
    ...(form === undefined
      ? []
      : [
          "const form = new FormData();",
          ...textsOf(form).map(([name, value]) => `form.set("${name}", "${value}");`),
          ...files.map(
            ([name, file]) => `form.append("${name}", new Blob([await readFile("${file}")]), "${file}");`,
          ),
        ]),
    options.length === 0
      ? `const response = await fetch(${url});`
      : `const response = await fetch(${url}, {\n${options.join("\n")}\n});`,
    `console.log(response.status${answer === "none" ? "" : `, await response.${answer}()`});`,
  ].join("\n");
}

function python({ method, path, needsKey, form, json, answer }: Call): string {
  const parts = path
    .split(/(\{\w+\})/)
    .filter((part) => part !== "")
    .map((part) => (part.startsWith("{") ? `os.environ["${part.slice(1, -1).toUpperCase()}"]` : `"${part}"`));
  const files = filesOf(form);
  const texts = textsOf(form);
  const options = [
    `    ${['os.environ["OCRLTY_URL"]', ...parts].join(" + ")},`,
    ...(needsKey ? ['    headers={"Authorization": "Bearer " + os.environ["OCRLTY_API_KEY"]},'] : []),
    ...(texts.length === 0
      ? []
      : [`    data={${texts.map(([name, value]) => `"${name}": "${value}"`).join(", ")}},`]),
    ...(files.length === 0
      ? []
      : [`    files=[${files.map(([name, file]) => `("${name}", open("${file}", "rb"))`).join(", ")}],`]),
    ...(json === undefined ? [] : [`    json=${indented(literal(json), 4)},`]),
  ];
  const shown = { json: ", response.json()", text: ", response.text", none: "" }[answer];
  return [
    "import os",
    "import requests",
    "",
    `response = requests.${method.toLowerCase()}(\n${options.join("\n")}\n)`,
    `print(response.status_code${shown})`,
  ].join("\n");
}

/** JSON as Python writes it. */
function literal(value: unknown): string {
  const names: Record<string, string> = { true: "True", false: "False", null: "None" };
  return JSON.stringify(value, null, 4).replace(
    /("(?:[^"\\]|\\.)*")|\b(?:true|false|null)\b/g,
    (word, text: string | undefined) => text ?? names[word] ?? word,
  );
}

/** Indents the later lines of a value. */
const indented = (text: string, by = 2) => text.replaceAll("\n", `\n${" ".repeat(by)}`);
