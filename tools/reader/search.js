// Search as you type, in the index that search_page.py wrote into this page. Each word must stand in a part, or one that
// begins with it or is nearly the same; a heading counts more than its text, notebooks more than files of code.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const index = MiniSearch.loadJSON(document.querySelector('script[type="application/json"]').textContent, OPTIONS);
  const field = document.querySelector("main input"), found = document.querySelector(".found");
  const results = document.querySelector(".results"), SHOWN = 30, AROUND = 90;
  const hint = found.textContent;
  const HOW = {
    processTerm: plain,
    combineWith: "AND",
    prefix: true,
    fuzzy: (word) => word.length > 4 && 0.2,
    boost: { title: 3, heading: 6 },
    boostDocument: (_, __, { file }) => (/\.py\.html$/.test(file) ? 0.4 : 1),
  };

  function marked(text, words) { // the text as nodes, found words in <mark>
    return text.split(/([\p{L}\p{N}\p{M}_]+)/u).map((part) => {
      if (!OPTIONS.processTerm(part).some((word) => words.has(word))) return part;
      return Object.assign(document.createElement("mark"), { textContent: part });
    });
  }

  function show() {
    const hits = index.search(field.value, HOW);
    const many = hits.length > SHOWN ? `${hits.length} places, the first ${SHOWN}:` : `${hits.length} place${hits.length === 1 ? "" : "s"}:`;
    found.textContent = hits.length ? many : field.value.trim() ? `Nothing found. ${hint}` : hint;
    results.replaceChildren(...hits.slice(0, SHOWN).map(({ file, anchor, title, heading, text, terms }) => {
      const item = document.createElement("li"), link = document.createElement("a"), around = document.createElement("p");
      const words = new Set(terms);
      link.href = file + (anchor && `#${encodeURIComponent(anchor)}`);
      link.append(...marked(heading && heading !== title ? `${title} › ${heading}` : title, words));
      const parts = marked(text, words), first = Math.max(0, parts.findIndex((part) => part instanceof Node));
      const before = parts.slice(0, first).join("").length;
      const from = before > AROUND ? text.lastIndexOf(" ", before - AROUND) + 1 : 0;
      const to = text.indexOf(" ", from + 2.5 * AROUND);
      around.append(from ? "… " : "", ...marked(text.slice(from, to < 0 ? undefined : to), words), to < 0 ? "" : " …");
      item.append(link, around);
      return item;
    }));
  }

  field.value = new URLSearchParams(location.search).get("q") ?? "";
  field.addEventListener("input", () => {
    try { history.replaceState(null, "", `?q=${encodeURIComponent(field.value)}`); } catch {} // refused for some files
    show();
  });
  field.form.addEventListener("submit", (event) => event.preventDefault());
  show();
});
