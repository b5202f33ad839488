import { type Html, html } from "#core/html";

/** A column: its heading, and whether its cells are numbers. */
interface Column {
  title: string;
  /** An explanation of the heading, if it needs one. */
  about?: string;
  numbers?: true;
}

type Cell = Html | string;

/**
 * A table in a frame with its own scrolling, also by keyboard, so that the page is never wider than the screen. The
 * first cell of a row is its heading.
 */
export function table(name: string, columns: readonly Column[], rows: readonly (readonly Cell[])[]): Html {
  const of = (i: number) => (columns[i]?.numbers ? html` class="n"` : undefined);
  return html`<div class="scroll" role="region" aria-label="${name}" tabindex="0"><table><thead><tr>${columns.map(
    ({ title, about }, i) =>
      html`<th scope="col"${of(i)}${about === undefined ? undefined : html` title="${about}"`}>${title}</th>`,
  )}</tr></thead><tbody>${rows.map(
    (row) =>
      html`<tr>${row.map((cell, i) =>
        i === 0 ? html`<th scope="row"${of(i)}>${cell}</th>` : html`<td${of(i)}>${cell}</td>`,
      )}</tr>`,
  )}</tbody></table></div>`;
}
