/**
 * Markdown of docs/ as HTML. Its content becomes text, never markup: HTML inside is shown as text, a picture as its
 * alternative text, and an address is kept only if it leads to one of our pages or is https.
 */
import { Marked, type Tokens } from "marked";
import { Html, html } from "#core/html";

export interface Heading {
  readonly depth: number;
  /** Without marks of Markdown. */
  readonly text: string;
  readonly anchor: string;
}

export interface Rendered {
  readonly title: string;
  /** The first paragraph's first sentence. */
  readonly summary: string;
  readonly headings: readonly Heading[];
  readonly body: Html;
}

/** A heading's anchor by GitHub's rule: lower case, no punctuation, spaces to hyphens. */
const slug = (title: string) =>
  title
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");

const labels: Record<string, string> = {
  bash: "bash",
  powershell: "PowerShell",
  js: "Node",
  ts: "TypeScript",
  py: "Python",
  json: "JSON",
};

/** `address` turns a link's target into an address of the site; undefined leaves its words without a link. */
export function render(markdown: string, address: (href: string) => string | undefined): Rendered {
  const headings: Heading[] = [];
  const anchors = new Map<string, number>();
  let groups = 0;
  const marked = new Marked({ gfm: true });
  marked.use({
    renderer: {
      heading({ depth, tokens }) {
        const text = plain(tokens);
        const count = anchors.get(slug(text)) ?? 0;
        anchors.set(slug(text), count + 1);
        const anchor = count === 0 ? slug(text) : `${slug(text)}-${count}`;
        headings.push({ depth, text, anchor });
        const inner = new Html(this.parser.parseInline(tokens));
        if (depth === 1) return html`<h1 id="${anchor}">${inner}</h1>`.text;
        return html`<h${depth} id="${anchor}"><a class="anchor" href="#${anchor}">${inner}</a></h${depth}>`
          .text;
      },
      code: (token) => codeBlock(token).text,
      table(token) {
        const names = token.header.map(({ tokens }) => plain(tokens));
        // On a phone each row is a block, and each cell has its column's name in front.
        const label = (tag: string, column: number) =>
          tag === "td" && names[column] ? html` data-label="${names[column]}"`.text : "";
        const cells = (row: Tokens.TableCell[], tag: string) =>
          row
            .map(({ tokens }, i) => `<${tag}${label(tag, i)}>${this.parser.parseInline(tokens)}</${tag}>`)
            .join("");
        const head = token.header.some(({ text }) => text !== "")
          ? `<thead><tr>${cells(token.header, "th")}</tr></thead>`
          : "";
        const rows = token.rows.map((row) => `<tr>${cells(row, "td")}</tr>`).join("");
        return `<div class="scroll"><table>${head}<tbody>${rows}</tbody></table></div>`;
      },
      link({ href, tokens }) {
        const inner = new Html(this.parser.parseInline(tokens));
        const target = address(href);
        return (target === undefined ? inner : html`<a href="${target}">${inner}</a>`).text;
      },
      image: ({ text }) => html`${text}`.text,
      html: ({ text }) => html`${text}`.text,
    },
  });
  const tokens = marked.lexer(markdown);
  const paragraph = tokens.find((token) => token.type === "paragraph") as Tokens.Paragraph | undefined;
  const body = runs(tokens)
    .map((run) => {
      if (run.length === 1) return marked.parser(run);
      groups += 1;
      return tabs(run as Tokens.Code[], groups).text;
    })
    .join("\n");
  return {
    title: headings.find(({ depth }) => depth === 1)?.text ?? "",
    summary: sentence(plain(paragraph?.tokens ?? [])),
    headings,
    body: new Html(body),
  };
}

type Token = ReturnType<Marked["lexer"]>[number];

/** Samples of the same thing follow one another with nothing between them: they become one block with tabs. */
function runs(tokens: readonly Token[]): Token[][] {
  const found: Token[][] = [];
  for (const token of tokens.filter(({ type }) => type !== "space")) {
    const last = found.at(-1);
    const isSample = token.type === "code" && token.lang in labels;
    const fits =
      isSample &&
      last?.[0]?.type === "code" &&
      last.every((other) => other.type === "code" && other.lang !== token.lang && other.lang in labels);
    if (fits) last?.push(token);
    else found.push([token]);
  }
  return found;
}

/** Tabs without a script: the chosen radio button shows its block. */
function tabs(blocks: readonly Tokens.Code[], number: number): Html {
  return html`<div class="tabs">${blocks.map((block, i) => {
    const id = `tab-${number}-${i + 1}`;
    return html`<input type="radio" name="tab-${number}" id="${id}" data-lang="${block.lang}"${i === 0 ? new Html(" checked") : undefined}><label for="${id}">${labels[block.lang ?? ""]}</label><div>${codeBlock(block)}</div>`;
  })}</div>`;
}

/** Only shell comments are highlighted; the texts need no more colors. */
function codeBlock({ text, lang }: Pick<Tokens.Code, "text" | "lang">): Html {
  const isShell = lang === "bash" || lang === "powershell";
  const lines = text.split("\n").map((line, i) => {
    const [, before = line, comment] = (isShell ? /^(.*?)((?:^|\s{2,})#\s.*)$/.exec(line) : null) ?? [];
    return html`${i === 0 ? "" : "\n"}${before}${comment === undefined ? undefined : html`<span class="comment">${comment}</span>`}`;
  });
  return html`<pre><code>${lines}</code></pre>`;
}

/** The words of inline Markdown. */
function plain(tokens: readonly Token[]): string {
  return tokens
    .map((token) =>
      "tokens" in token && token.tokens !== undefined
        ? plain(token.tokens)
        : "text" in token
          ? decoded(token.text)
          : token.raw,
    )
    .join("")
    .replace(/\s+/g, " ");
}

/** marked escapes some texts already. */
const decoded = (text: string) =>
  text
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&");

const sentence = (text: string) => /^.*?[.:](?=\s|$)/.exec(text)?.[0].replace(/:$/, ".") ?? text;
