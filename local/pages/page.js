// The one script of the guides: a button that copies a sample, tabs that stay with the language once chosen, and the
// bar's place of this page, where the bar is wider than the screen.
for (const pre of document.querySelectorAll("pre")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    const done = await navigator.clipboard.writeText(pre.textContent).then(
      () => true,
      () => false,
    );
    button.textContent = done ? "Copied" : "Not allowed";
    setTimeout(() => {
      button.textContent = "Copy";
    }, 1500);
  });
  const frame = document.createElement("div");
  frame.className = "code";
  pre.replaceWith(frame);
  frame.append(pre);
  // Browsers offer the clipboard to pages of https and of the own machine alone.
  if (navigator.clipboard) frame.append(button);
}

const tabs = [...document.querySelectorAll(".tabs input")];
const choose = (lang) => {
  for (const tab of tabs) if (tab.dataset.lang === lang) tab.checked = true;
};
const stored = (() => {
  try {
    return localStorage.getItem("ocrlty-docs-lang");
  } catch {
    return null;
  }
})();
if (stored) choose(stored);
for (const tab of tabs) {
  tab.addEventListener("change", () => {
    const top = tab.getBoundingClientRect().top;
    choose(tab.dataset.lang);
    // Blocks above may have changed their height.
    scrollBy(0, tab.getBoundingClientRect().top - top);
    try {
      localStorage.setItem("ocrlty-docs-lang", tab.dataset.lang);
    } catch {}
  });
}

document.querySelector(".bar [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
