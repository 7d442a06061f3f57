// Numbers and sentences, the same as in JupyterLab's lab: both read ddpm_lib/widgets.json.
export const SAY = JSON.parse(document.getElementById("about").textContent).words;

// A sentence of SAY with its {names} filled in.
export function fill(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// A number with at most two decimals and a real minus sign.
export function sayNumber(x) {
  return `${Math.round(100 * x) / 100}`.replace("-", "−");
}

// What the guidance weight w does to the label: one sentence.
export function sayW(w) {
  const says = SAY["what w does"];
  return fill(says[w] ?? says[w < 0 ? "below 0" : "above 0"], { w: sayNumber(w) });
}

// The network of a picture, and its steps.
export function sayWho(network, steps) {
  return fill(SAY.steps[steps > 1 ? 1 : 0], { network, steps });
}

// Text as HTML, with x_t and x̂_0 as formulas set them.
export function typeset(text) {
  return text.replace(/(x̂?)_(\w)/g, "<i>$1</i><sub>$2</sub>");
}
