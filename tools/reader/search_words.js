// How MiniSearch reads the pages' text: for Node, which makes the index (search_page.py), and for the page that asks it.
"use strict";
const plain = (word) => word.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const OPTIONS = {
  fields: ["title", "heading", "text"],
  storeFields: ["file", "anchor", "title", "heading", "text"],
  tokenize: (text) => text.match(/[\p{L}\p{N}\p{M}_]+/gu) ?? [],
  processTerm: (word) => [...new Set([plain(word), ...plain(word).split("_")])].filter(Boolean), // predict_noise is noise, too
};
