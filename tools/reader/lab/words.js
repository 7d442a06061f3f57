// Numbers and sentences, the same as in JupyterLab's lab (ddpm_lib/widgets.py).

// A number with at most two decimals and a real minus sign.
export function sayNumber(x) {
  return `${Math.round(100 * x) / 100}`.replace("-", "−");
}

// What somebody typed, as a number: −0.5 with either minus sign, and 2,5 as well as 2.5. NaN for anything else.
export function readNumber(text) {
  const plain = text.trim().replace(/^[−–]/, "-").replace(",", ".");
  return /^[-+]?(\d+\.?\d*|\.\d+)$/.test(plain) ? Number(plain) : NaN;
}

// What the guidance weight w does to the label: one sentence.
export function sayW(w) {
  if (w === -1) return "w = −1: the label is ignored.";
  if (w === 0) return "w = 0: purely conditional, no guidance.";
  return `w = ${sayNumber(w)}: the label is ${w < 0 ? "weaker than the network learned it" : "exaggerated"}.`;
}

export function saySteps(steps) {
  return steps === 1 ? "1 step" : `${steps} steps`;
}
