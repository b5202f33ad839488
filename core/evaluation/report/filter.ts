/**
 * The only script of a report, which runs in the reader's browser: it shows the receipts that match the filter.
 * Without it everything is shown. The page's policy contains its hash.
 */
export const script = `(() => {
  const of = (id) => document.getElementById(id);
  const box = of("filter");
  if (!box) return;
  const [field, outcome, text, told, none] = ["f-field", "f-outcome", "f-text", "f-status", "f-none"].map(of);
  const low = (node) => node.textContent.toLowerCase();
  const receipts = [...document.querySelectorAll("article")].map((article) => ({
    article,
    name: low(article.querySelector("h3")),
    rows: [...article.querySelectorAll("tbody tr")].map((row) => ({
      row,
      bad: row.querySelector(".bad") !== null,
      text: low(row),
    })),
  }));
  const apply = () => {
    const words = text.value.trim().toLowerCase();
    let values = 0;
    let shown = 0;
    for (const { article, name, rows } of receipts) {
      let fit = 0;
      for (const { row, bad, text } of rows) {
        const fits =
          (field.value === "" || row.dataset.field === field.value) &&
          (outcome.value === "" || (outcome.value === "!" ? bad : row.dataset.outcome === outcome.value)) &&
          (name.includes(words) || text.includes(words));
        row.hidden = !fits;
        fit += fits;
      }
      article.hidden = fit === 0;
      shown += fit > 0;
      values += fit;
    }
    const counted = (n, noun) => n + " " + noun + (n === 1 ? "" : "s");
    told.textContent = counted(values, "value") + " in " + shown + " of " + counted(receipts.length, "receipt");
    none.hidden = values > 0;
  };
  for (const each of [field, outcome, text]) each.addEventListener("input", apply);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|SELECT)$/.test(event.target.tagName)) {
      event.preventDefault();
      text.focus();
    }
    if (event.key === "Escape" && event.target === text) {
      text.value = "";
      apply();
    }
  });
  box.hidden = false;
  apply();
})();`;
