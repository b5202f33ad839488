/**
 * Makes the files of `/docs`: the guides of docs/ as HTML and as Markdown, the reference, llms.txt and the files that
 * pages load, all compressed. The functions send these files unchanged (functions/docs-page/files.ts). They are stored
 * beside the bundle, on Lambda (infra/pages.ts) and in the local loop (local/bundle/bundle.ts).
 */
import { createHash } from "node:crypto";
import * as fs from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import * as Guides from "#functions/docs-page/guides";
import { packageRoot } from "#local/home/home";
import * as Layout from "./layout.ts";
import * as Markdown from "./markdown.ts";
import * as Reference from "./reference.ts";
import * as Viewer from "./viewer.ts";

export interface Pages {
  /** Path below the folder, `/` between its parts → content. */
  readonly files: ReadonlyMap<string, Buffer>;
  /** Absolute paths of what they were made of. */
  readonly inputs: readonly string[];
}

const here = import.meta.dirname;
const docs = (name: string) => join(packageRoot, "docs", name);
const ownInputs = [
  join(packageRoot, "core", "html.ts"),
  join(packageRoot, "functions", "docs-page", "guides.ts"),
  ...["build", "layout", "markdown", "reference", "viewer"].map((name) => join(here, `${name}.ts`)),
];

/** All files. The same sources give the same bytes. @throws when a guide of the list is missing. */
export async function build(): Promise<Pages> {
  const viewer = await Viewer.script();
  const [style, script] = await Promise.all(
    ["page.css", "page.js"].map((name) => fs.readFile(join(here, name), "utf8").then(unix)),
  );
  const sources = new Map<string, string>();
  for (const name of Object.keys(Guides.guides))
    sources.set(name, unix(await fs.readFile(docs(`${name}.md`), "utf8")));
  const openapi = unix(await fs.readFile(docs("openapi.json"), "utf8"));

  const texts = new Map<string, string>();
  const address = (prefix: string, suffix: string, content: string | Buffer) => {
    const name = `assets/${prefix}-${createHash("sha256").update(content).digest("hex").slice(0, 16)}.${suffix}`;
    if (typeof content === "string") texts.set(name, content);
    return name;
  };
  const viewerName = address("scalar", "js", await promisify(gunzip)(viewer.packed));
  const assets = {
    style: `/docs/${address("page", "css", style ?? "")}`,
    script: `/docs/${address("page", "js", script ?? "")}`,
    viewer: `/docs/${viewerName}`,
  };

  const rendered = new Map([...sources].map(([name, source]) => [name, Markdown.render(source, addressOf)]));
  const titles = new Map([[Guides.reference, "API reference"], ...Object.entries(Guides.guides)]);
  for (const [name, guide] of rendered) {
    texts.set(`${name}.html`, Layout.guide(name, guide, assets, titles));
    texts.set(`${name}.md`, sources.get(name) ?? "");
  }
  texts.set(`${Guides.reference}.html`, Reference.render(assets, titles));
  texts.set(`${Guides.reference}.md`, Reference.markdown(JSON.parse(openapi)));
  texts.set("openapi.json", openapi);
  texts.set("llms.txt", llms(rendered));

  const packed = await Promise.all(
    [...texts].map(
      async ([name, text]) => [`${name}.gz`, await promisify(gzip)(text, { level: 9 })] as const,
    ),
  );
  return {
    files: new Map([...packed, [`${viewerName}.gz`, viewer.packed]]),
    inputs: [
      ...ownInputs,
      ...["page.css", "page.js"].map((name) => join(here, name)),
      ...[...sources.keys()].map((name) => docs(`${name}.md`)),
      docs("openapi.json"),
      ...viewer.inputs,
    ],
  };
}

/** Git may have written the line ends of Windows. */
const unix = (text: string) => text.replaceAll("\r\n", "\n");

/** The site's address for a link in docs/; other files of the repository have no address there. */
function addressOf(href: string): string | undefined {
  if (/^(https:\/\/|#)/.test(href)) return href;
  const [, name = "", hash = ""] = /^(?:\.\/)?([\w-]+)\.md(#[\w-]+)?$/.exec(href) ?? [];
  if (Guides.names.includes(name)) return `${Layout.pathOf(name)}${hash}`;
  return href === "openapi.json" ? "/openapi.json" : undefined;
}

/** https://llmstxt.org: a title, a summary, and lists of links with a line on each. */
function llms(rendered: ReadonlyMap<string, Markdown.Rendered>): string {
  const lines = [...rendered].map(
    ([name, { title, summary }]) => `- [${title}](/docs/${name}.md): ${summary}`,
  );
  return `# OCRlty

> Photos of receipts and invoices in, JSON checked against a schema out, read by a vision language model that the operator hosts.

Every call but a few needs a key: \`Authorization: Bearer KEY\`. Errors have one form,
\`{"error":{"code","message","param","request_id","doc_url","details"}}\`. The same \`request_id\` with the same payload is the same call.

## Guides

${lines.join("\n")}

## Reference

- [API reference](/docs/${Guides.reference}.md): Every call with its parameters, body, answers and a line for curl.
- [OpenAPI 3.1 document](/openapi.json): The same for programs; typed clients are made of it.
`;
}

/** Writes the files into a folder and removes outdated ones. An unchanged file is not touched. */
export async function write(folder: string): Promise<void> {
  const { files } = await build();
  const there = await fs.readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of there) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && ![...files.keys()].some((name) => join(folder, name) === path)) await fs.rm(path);
  }
  for (const [name, content] of files) {
    const path = join(folder, name);
    if ((await fs.readFile(path).catch(() => undefined))?.equals(content)) continue;
    await fs.mkdir(join(path, ".."), { recursive: true });
    const draft = `${path}.${process.pid}.tmp`;
    await fs.writeFile(draft, content);
    await fs.rename(draft, path);
  }
}
