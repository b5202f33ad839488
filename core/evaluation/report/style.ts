/** The style of a report: light or dark like the reader's system, for widths from 320 pixels on. */
export const style = `:root {
  color-scheme: light dark;
  --bg: light-dark(#fff, #14171a);
  --fg: light-dark(#1c2024, #e6e9ec);
  --dim: light-dark(#59616a, #a3adb7);
  --line: light-dark(#dfe3e8, #2f363d);
  --soft: light-dark(#f5f7f9, #1c2126);
  --accent: light-dark(#2f6db5, #6ba4e8);
  --bad: light-dark(#b3261e, #ff8a80);
  --good: light-dark(#1b6e3c, #74d49a);
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html { scroll-padding-top: 1rem; text-size-adjust: none; }
body {
  margin: 0 auto;
  max-width: 76rem;
  padding: 1.25rem 1.25rem 4rem;
  background: var(--bg);
  color: var(--fg);
  font: 15px / 1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0.5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 0.4rem; overflow-wrap: anywhere; }
p { margin: 0.4rem 0; }
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
small { color: var(--dim); font-size: 0.85em; white-space: nowrap; }
.note { color: var(--dim); font-size: 0.9em; overflow-wrap: anywhere; }
code { font: 0.92em ui-monospace, SFMono-Regular, Consolas, "DejaVu Sans Mono", monospace; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; background: var(--bg); padding: 0.3rem 0.6rem; }
nav { display: flex; flex-wrap: wrap; gap: 0.2rem 1.1rem; margin: 1rem 0; }
.about { display: grid; grid-template-columns: max-content 1fr; gap: 0.1rem 1rem; margin: 0.8rem 0; font-size: 0.92em; }
.about dt { color: var(--dim); }
.about dd { margin: 0; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 0.8rem; margin: 1rem 0; }
.tile { border: 1px solid var(--line); border-radius: 8px; padding: 0.8rem 1rem; background: var(--soft); }
.tile dt { color: var(--dim); }
.tile dd { margin: 0; display: grid; gap: 0.25rem; }
.tile strong { font-size: 1.9rem; line-height: 1.2; }
.tile span:last-child { color: var(--dim); font-size: 0.9em; }
.bar { position: relative; display: block; height: 0.7rem; min-width: 8rem; border-radius: 3px; background: var(--line); overflow: hidden; }
.bar i { position: absolute; inset: 0 auto 0 0; background: var(--accent); }
.bar b { position: absolute; top: calc(50% - 1px); height: 2px; min-width: 2px; background: var(--fg); }
.rated { display: grid; grid-template-columns: 7rem max-content; gap: 0.7rem; align-items: center; white-space: nowrap; }
.rated .bar { min-width: 0; }
.scroll { overflow-x: auto; margin: 0.6rem 0; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 0.35rem 0.7rem; text-align: left; vertical-align: top; font-weight: 400; border-top: 1px solid var(--line); }
.scroll td, .scroll tbody th { vertical-align: middle; }
thead th { color: var(--dim); font-size: 0.88em; background: var(--soft); border-top: 0; vertical-align: bottom; }
.n { text-align: right; white-space: nowrap; }
.scroll th:first-child { position: sticky; left: 0; background: var(--bg); min-width: 10rem; max-width: 22rem; overflow-wrap: anywhere; }
.scroll th code { overflow-wrap: break-word; }
.scroll thead th:first-child { background: var(--soft); }
#filter { position: sticky; top: 0; z-index: 2; display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; align-items: center; padding: 0.7rem 0; background: var(--bg); border-bottom: 1px solid var(--line); }
#filter label { color: var(--dim); font-size: 0.9em; }
select, input { font: inherit; color: var(--fg); background: var(--soft); border: 1px solid var(--dim); border-radius: 5px; padding: 0.3rem 0.5rem; max-width: 100%; }
#f-text { width: 15rem; }
#f-status { margin: 0; color: var(--dim); font-size: 0.9em; }
article { margin: 1.2rem 0; padding: 0.2rem 1rem 0.8rem; border: 1px solid var(--line); border-radius: 8px; scroll-margin-top: 4rem; }
article h3 { margin-top: 0.6rem; }
.receipt { display: flex; gap: 1rem; align-items: flex-start; }
.receipt img { max-width: 16rem; max-height: 30rem; border: 1px solid var(--line); border-radius: 4px; }
.nothing { flex: none; width: 12rem; margin: 0; padding: 1.5rem 0.8rem; border: 1px dashed var(--line); border-radius: 4px; color: var(--dim); font-size: 0.9em; overflow-wrap: anywhere; }
.values { table-layout: fixed; flex: 1; }
.values thead th { background: none; }
.values th:first-child { width: 24%; }
.values th:last-child { width: 22%; }
.values td, .values th { overflow-wrap: anywhere; }
.value { white-space: pre-wrap; background: var(--soft); border-radius: 3px; padding: 0.05em 0.25em; }
.none { color: var(--dim); font-style: italic; }
.bad { color: var(--bad); font-weight: 600; }
.good { color: var(--good); }
summary { cursor: pointer; padding: 0.2rem 0; }
@media (max-width: 640px) {
  body { padding: 0.8rem 0.8rem 3rem; }
  .scroll th:first-child { min-width: 8rem; max-width: 9.5rem; }
  #fields th:first-child { max-width: 13rem; }
  .scroll code { font-size: 0.82em; }
  .rated { grid-template-columns: 4rem max-content; gap: 0.5rem; }
  #filter { position: static; }
  #filter label { display: grid; grid-template-columns: 4.5rem 1fr; width: 100%; align-items: center; }
  #f-text { width: 100%; }
  .receipt { display: block; }
  .receipt img { max-width: 100%; max-height: 22rem; margin-bottom: 0.6rem; }
  .nothing { width: auto; margin-bottom: 0.6rem; padding: 0.6rem 0.8rem; }
  .values thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  .values, .values tbody, .values tr { display: block; }
  .values tr { border-top: 1px solid var(--line); padding: 0.4rem 0; }
  .values th, .values td { display: block; border: 0; padding: 0.1rem 0; }
  .values th:first-child, .values th:last-child { width: auto; }
  .values td[data-label] { display: grid; grid-template-columns: 4.5rem 1fr; }
  .values td[data-label] > * { justify-self: start; }
  .values td[data-label]::before { content: attr(data-label); color: var(--dim); }
}
@media print {
  #filter, nav { display: none; }
  article { break-inside: avoid; }
}`;
