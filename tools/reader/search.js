// Search as you type, in the text that make_html.py wrote into this page. Each word must begin a word of a section; its
// heading counts more than its text, notebooks more than files of code. No index is needed for a text that one pass
// reads in some milliseconds. The text is in Unicode's NFD, with each accent a sign of its own, which `\p{M}*` passes over.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const pages = JSON.parse(document.querySelector('script[type="application/json"]').textContent);
  const field = document.querySelector("main input"), found = document.querySelector(".found");
  const results = document.querySelector(".results"), SHOWN = 30, AROUND = 90;
  const hint = found.textContent;

  const pattern = (word) => {
    const signs = [...word].map((sign) => sign.replace(/[^\p{L}\p{N}_]/u, "\\$&"));
    return new RegExp(`(?<![\\p{L}\\p{N}\\p{M}])${signs.join("\\p{M}*")}\\p{M}*`, "giu");
  };
  const count = (text, word) => text.match(word)?.length ?? 0;

  function search(words) {
    const hits = [];
    for (const [file, title, sections] of pages) {
      const weight = /\.(py|toml|yml|json|csv|txt|cfg)\.html$/.test(file) ? 0.4 : 1;
      for (const [anchor, heading, text] of sections) {
        let score = weight;
        for (const word of words) {
          score *= 6 * !!count(heading, word) + 2 * !!count(title, word) + Math.log2(1 + count(text, word));
        }
        if (score) hits.push({ file, title, anchor, heading, text, score });
      }
    }
    return hits.sort((one, other) => other.score - one.score);
  }

  function marked(text, words) { // the text as nodes, found words in <mark>
    const any = new RegExp(words.map((word) => word.source).join("|"), "giu"), nodes = [];
    let end = 0;
    for (const match of text.matchAll(any)) {
      const mark = document.createElement("mark");
      mark.textContent = match[0];
      nodes.push(text.slice(end, match.index), mark);
      end = match.index + match[0].length;
    }
    return [...nodes, text.slice(end)];
  }

  function show() {
    const words = (field.value.normalize("NFD").match(/[\p{L}\p{N}_][\p{L}\p{N}\p{M}_]*/gu) ?? [])
      .map((word) => pattern(word.replace(/\p{M}/gu, "")));
    const hits = words.length ? search(words) : [];
    const many = hits.length > SHOWN ? `${hits.length} places, the first ${SHOWN}:` : `${hits.length} place${hits.length === 1 ? "" : "s"}:`;
    found.textContent = hits.length ? many : words.length ? `Nothing found. ${hint}` : hint;
    results.replaceChildren(...hits.slice(0, SHOWN).map((hit) => {
      const item = document.createElement("li"), link = document.createElement("a"), text = document.createElement("p");
      link.href = hit.file + (hit.anchor && `#${encodeURIComponent(hit.anchor)}`);
      link.append(...marked(hit.heading && hit.heading !== hit.title ? `${hit.title} › ${hit.heading}` : hit.title, words));
      const first = Math.max(0, Math.min(...words.map((word) => hit.text.search(word)).filter((at) => at >= 0), Infinity));
      const from = first === Infinity ? 0 : Math.max(0, hit.text.lastIndexOf(" ", first - AROUND) + 1);
      const to = hit.text.indexOf(" ", from + 2.5 * AROUND);
      text.append(from ? "… " : "", ...marked(hit.text.slice(from, to < 0 ? undefined : to), words), to < 0 ? "" : " …");
      item.append(link, text);
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
