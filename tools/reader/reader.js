// What the pages do beyond being read: theme, contents that follow, copying, enlarging, films that stop, folds that open.
// Without JavaScript nothing is missing from the text, so every control that needs it is made here.
"use strict";
{
  const page = document.documentElement;
  const AFTER = { system: "light", light: "dark", dark: "system" };
  const SIGN = { system: "◐", light: "☀\uFE0E", dark: "☾" };
  const REDUCED = "(prefers-reduced-motion: reduce)";
  const YES = "(min-width: 0)", NO = "not all and (min-width: 0)";
  const remember = (theme) => { try { localStorage.setItem("theme", theme); } catch {} };  // a browser may forbid it
  const remembered = () => { try { return localStorage.getItem("theme"); } catch {} };
  page.dataset.theme = remembered() in AFTER ? remembered() : "system"; // before the first paint

  const $$ = (selector) => document.querySelectorAll(selector);

  function button(text, press) {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    made.addEventListener("click", () => press(made));
    return made;
  }

  // A <picture> asks the system for theme and motion; who chose here is answered here.
  const written = new WeakMap();
  function choosePictures() {
    for (const source of $$("main source[media]")) {
      if (!written.has(source)) written.set(source, source.media);
      const { theme } = page.dataset, { stopped } = source.parentElement.dataset;
      let conditions = written.get(source);
      if (theme !== "system")
        conditions = conditions.replace(/\(prefers-color-scheme: (\w+)\)/, (_, asked) => (asked === theme ? YES : NO));
      if (stopped) conditions = conditions.replace(REDUCED, stopped === "yes" ? YES : NO);
      source.media = conditions.includes(NO) ? "not all" : conditions;
    }
  }

  function themeSwitch() {
    const show = (made) => {
      const { theme } = page.dataset;
      made.textContent = SIGN[theme];
      made.title = made.ariaLabel = `Theme: ${theme === "system" ? "as your system" : theme}. Change to ${AFTER[theme]}`;
      choosePictures();
    };
    const made = button("", () => {
      remember((page.dataset.theme = AFTER[page.dataset.theme]));
      show(made);
    });
    made.className = "theme";
    show(made);
    document.querySelector(".to-contents").before(made);
  }

  function films() {
    for (const source of $$(`main picture > source[media^="${REDUCED}"]:first-child`)) {
      const film = source.parentElement;
      const show = (made) => {
        made.textContent = film.dataset.stopped === "yes" ? "Play the film" : "Stop the film";
        choosePictures();
      };
      film.dataset.stopped = matchMedia(REDUCED).matches ? "yes" : "no";
      const made = button("", () => {
        film.dataset.stopped = film.dataset.stopped === "yes" ? "no" : "yes";
        show(made);
      });
      show(made);
      made.className = "below";
      film.after(made);
    }
  }

  function copyButtons() {
    const said = Object.assign(document.createElement("p"), { className: "said", role: "status" });
    document.body.append(said);
    for (const code of $$("main .highlight > pre")) {
      const made = button("Copy", async () => {
        try {
          await navigator.clipboard.writeText(code.textContent.trimEnd());
        } catch { // a page that came over http from another machine has no clipboard
          getSelection().selectAllChildren(code);
          document.execCommand("copy");
          getSelection().removeAllRanges();
        }
        made.textContent = said.textContent = "Copied";
        setTimeout(() => { made.textContent = "Copy"; said.textContent = ""; }, 2000);
      });
      made.className = "copy";
      made.ariaLabel = "Copy this code";
      code.parentElement.append(made);
    }
  }

  function headingLinks() {
    for (const heading of $$("main :is(h2, h3, h4)[id]")) {
      const link = Object.assign(document.createElement("a"), { className: "anchor", href: `#${heading.id}`, textContent: "#" });
      link.ariaLabel = `Link to: ${heading.textContent}`;
      heading.append(" ", link);
    }
  }

  function openAll() {
    const folds = [...$$("main details")], tools = document.querySelector(".tools");
    if (!tools || folds.length < 2) return;
    tools.append(button("Open all hints and solutions", (made) => {
      const open = folds.some((fold) => !fold.open);
      for (const fold of folds) fold.open = open;
      made.textContent = `${open ? "Close" : "Open"} all hints and solutions`;
    }));
  }

  // A figure that had to shrink opens in its own size, to be moved about.
  function enlarging() {
    const dialog = Object.assign(document.createElement("dialog"), { className: "enlarged" });
    const large = document.createElement("img");
    dialog.append(button("Close", () => dialog.close()));
    large.addEventListener("click", () => dialog.close());
    document.body.append(dialog);
    for (const image of $$("main img")) {
      if (image.closest(".scrubber")) continue;
      const width = () => Number(image.getAttribute("width")) || image.naturalWidth;
      const open = () => {
        if (made.hidden) return;
        Object.assign(large, { src: image.currentSrc, alt: image.alt, width: width() });
        dialog.append(large);
        dialog.showModal();
      };
      const made = button("Enlarge", open);
      made.className = "below";
      image.addEventListener("click", open);
      (image.closest("picture") ?? image).after(made);
      new ResizeObserver(() => {
        made.hidden = width() <= image.clientWidth * 1.05;
        image.classList.toggle("shrunk", !made.hidden);
      }).observe(image);
    }
  }

  // The contents mark the part that is read, and keep it in sight.
  function followScroll() {
    const contents = document.getElementById("contents");
    const links = [...contents.querySelectorAll('a[href^="#"]')];
    const parts = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));
    const reveal = (link) => {
      if (!link) return;
      const from = link.getBoundingClientRect().top - contents.getBoundingClientRect().top;
      if (from < 0 || from > contents.clientHeight - 60) contents.scrollTop += from - contents.clientHeight / 3;
    };
    const current = contents.querySelector('[aria-current="page"]');
    let marked = current;
    const mark = () => {
      const read = parts.findLastIndex((part) => part.getBoundingClientRect().top < innerHeight / 3);
      if (links[read] === marked) return;
      for (const link of links) link.removeAttribute("aria-current");
      links[read]?.setAttribute("aria-current", "location");
      marked = links[read];
      reveal(marked ?? current);
    };
    reveal(current);
    addEventListener("scroll", mark, { passive: true });
    mark();
    contents.addEventListener("toggle", (event) => {
      if (event.newState !== "open") return;
      contents.focus({ preventScroll: true });
      reveal(marked ?? current);
    });
    contents.addEventListener("click", (event) => event.target.closest("a") && contents.matches(":popover-open") && contents.hidePopover());
  }

  document.addEventListener("DOMContentLoaded", () => {
    themeSwitch();
    headingLinks();
    films();
    enlarging();
    copyButtons();
    openAll();
    followScroll();
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, textarea, select")) return;
    event.preventDefault();
    document.querySelector("input[type=search]")?.focus();
  });
}
