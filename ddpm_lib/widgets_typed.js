// What people type into the box of a number, for both labs: widgets.js, and tools/reader/lab/lab.js in a browser tab.

// The numbers in a text, or null: one, or the two ends of a range. Any minus sign and any decimal mark will do, and the
// number's name may stand before it. Whoever knows w as the scale s = 1 + w may type that: "s = 3" is w = 2.
function numbersIn(typed, name, range) {
  const plain = typed.normalize('NFKC').toLowerCase().replace(/[\p{Pd}\u02d7\u2212\u2796]\s*/gu, '-').replace(/\+\s*/g, '+').trim();
  if (range) return /^\D*(\d+)\D+(\d+)\D*$/.exec(plain)?.slice(1).map(Number).sort((a, b) => a - b) ?? null;
  const found = /^(.*?)\s*(?::?=|:)?\s*([+-]?(?:\d+[.,·٫]?\d*|[.,·٫]\d+)(?:e[+-]?\d+)?)\s*(%?)$/.exec(plain);
  if (!found || (found[3] && !name.includes('%'))) return null;
  const before = found[1].replace(/[\s_]/g, ''), number = Number(found[2].replace(/[,·٫]/, '.'));
  if (['', name.toLowerCase().replace(/\s/g, '')].includes(before)) return [number];
  if (name !== 'w') return null;
  if (/^guidance(weight)?w?$|^weight$/.test(before)) return [number];
  if (/^(s|cfg|1\+w|w\+1|(guidance|cfg)?scale(s|1\+w)?)$/.test(before)) return [Number((number - 1).toFixed(9))];
  return null;
}

// What a box takes from a text: {numbers, said}. numbers: null if it keeps what it shows now; else they are in its range.
// said: a sentence from `words` (widgets.json), "" if there is nothing to say.
function readTyped(words, typed, { name, now, least, most, range = false }) {
  const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (_, key) => `${values[key]}`);
  const minus = number => `${number}`.replaceAll('-', '−');
  const numbers = numbersIn(typed, name, range);
  const sentence = words[range ? 'no range' : 'no number'];
  if (!numbers) return { numbers, said: fill(sentence, { typed: typed.trim(), name, now: minus(now) }) };
  const inside = numbers.every(number => number >= least && number <= most);
  const said = inside ? '' : fill(words.outside, { name, least: minus(least), most: minus(most) });
  return { numbers: numbers.map(number => Math.min(Math.max(number, least), most)), said };
}
