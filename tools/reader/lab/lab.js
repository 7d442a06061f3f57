// The guidance lab: move w and everything else that guided sampling depends on, and see the digits change.
import { Artist } from "./artist.js";
import { gaussian, oneHot, PIXELS, repeat, sample, sampleSteps, timeSteps } from "./diffusion.js";
import { cut, Picture } from "./picture.js";
import { readNumber, sayNumber, saySteps, sayW } from "./words.js";

const [W_MIN, W_MAX] = [-1, 8];
const STEPS = 8; // the teacher's
const [X_T, X_0_HAT] = ["<i>x<sub>t</sub></i>", "<i>x̂</i><sub>0</sub>"];
const NOISES = 5; // rows of the row over w for a single digit
const PLAY = 1.5; // how much w changes in a second
const SLOW = 90; // milliseconds between two pictures of the film, so that eyes can follow

const all = (selector) => [...document.querySelectorAll(selector)];
const one = (id) => document.getElementById(id);
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;
// The row over w shows these, which stand below the slider, and the slider's w.
const FIXED_WEIGHTS = all(".ticks span").map((tick) => Number(tick.dataset.w));
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

let wNow = 1; // the slider has steps of 0.05; who types, may ask for any number

// The values of the controls now.
function state() {
  const digit = one("digit").value;
  return {
    view: chosen("view"),
    w: wNow,
    digit: digit === "all" ? "all" : digit === "none" ? null : Number(digit),
    seed: Number(one("seed").value),
    by: one("by").value, // "teacher 8", "student 2" or "student 1"
    shares: all("#mix input").map((slider) => Number(slider.value)),
  };
}

// ---- what each view draws

const digitsOf = ({ digit }, n) => (digit === "all" ? [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] : Array(n).fill(digit));
const named = (digit) => (digit === null ? "∅" : `${digit}`);

// The label row of the mix view: the sliders' shares, with sum 1; all at 0 is "no label".
export function rowOf(shares) {
  const sum = shares.reduce((a, b) => a + b, 0);
  return new Float32Array(shares.map((share) => (sum ? share / sum : 0)));
}

function sayRow(shares) {
  const parts = [...rowOf(shares)].map((share, digit) => [share, digit]).filter(([share]) => share > 0);
  if (!parts.length) return "no label (all zeros, ∅)";
  return `the label ${parts.map(([share, digit]) => `${Math.round(100 * share)} % of ${digit}`).join(" + ")}`;
}

// draw(wish, model, steps, show, tick): draw with this network and show(what) what there is, one or more times.
const views = {
  async grid(wish, model, steps, show, tick) {
    const digits = digitsOf(wish, 10);
    const x = await sample(model, oneHot(digits), wish.w, start(wish.seed, 10, steps, tick));
    show({ tiles: [0, 5].map((from) => digits.slice(from, from + 5).map((_, i) => cut(x, from + i))) });
  },

  async mix(wish, model, steps, show, tick) {
    const y = repeat(rowOf(wish.shares), 10);
    const x = await sample(model, y, wish.w, start(wish.seed, 10, steps, tick));
    show({ tiles: [0, 5].map((from) => [0, 1, 2, 3, 4].map((i) => cut(x, from + i))) });
  },

  // The first column follows the slider; the others are drawn once for a digit and a seed, and kept.
  async row(wish, model, steps, show, tick) {
    const digits = digitsOf(wish, NOISES);
    const y = oneHot(digits);
    const tiles = digits.map(() => Array(1 + FIXED_WEIGHTS.length).fill(null));
    const names = {
      corner: "<i>w</i> =",
      columns: [`▸ ${sayNumber(wish.w)}`, ...FIXED_WEIGHTS.map(sayNumber)],
      rows: wish.digit === "all" ? digits.map(named) : digits.map(() => ""),
    };
    const put = (column, x) => tiles.forEach((row, r) => (row[column] = cut(x, r)));
    const by = `${model.name} ${steps}`;
    const goodEnough = [wish.by, "student 1"].slice(0, by === wish.by ? 1 : 2); // the wished one before the sketch
    const kept = (w) => goodEnough.map((by) => drawn.get([by, wish.digit, wish.seed, w].join())).find(Boolean);
    FIXED_WEIGHTS.forEach((w, i) => kept(w) && put(i + 1, kept(w)));
    const left = FIXED_WEIGHTS.filter((w) => !kept(w));
    FIXED_WEIGHTS.forEach((w, i) => {
      const sketch = drawn.get(["student 1", wish.digit, wish.seed, w].join());
      if (left.includes(w) && sketch) put(i + 1, sketch);
    });
    put(0, await sample(model, y, wish.w, start(wish.seed, digits.length, steps, tick)));
    show({ tiles, ...names });
    for (const w of left) {
      const x = await sample(model, y, w, start(wish.seed, digits.length, steps, tick));
      if (drawn.size > 200) drawn.clear();
      drawn.set([by, wish.digit, wish.seed, w].join(), x);
      put(1 + FIXED_WEIGHTS.indexOf(w), x);
      show({ tiles, ...names });
    }
  },

  // Columns are times. The student's single step fills the ends only.
  async film(wish, model, steps, show, tick) {
    const digits = digitsOf(wish, 1);
    const single = digits.length === 1;
    const times = timeSteps(model.T, STEPS);
    const tiles = Array.from({ length: single ? 2 : digits.length }, () => Array(times.length).fill(null));
    const names = {
      corner: "<i>t</i> =",
      columns: times.map(String),
      rows: single ? [X_T, X_0_HAT] : digits.map(named),
    };
    const put = (t, x_t, x_0_hat) => {
      const column = times.indexOf(t);
      if (column < 0) return;
      if (single) [tiles[0][column], tiles[1][column]] = [x_t, x_0_hat];
      else digits.forEach((_, r) => (tiles[r][column] = cut(x_t, r)));
    };
    const { x_T: x, z } = start(wish.seed, digits.length, steps, tick);
    const walk = { x, z, times: timeSteps(model.T, steps), tick };
    if (model.w_max) walk.step = (model, x_t, x_0_hat) => x_0_hat; // one step
    for await (const { t, x_t, x_0_hat, s, x_s } of sampleSteps(model, oneHot(digits), wish.w, walk)) {
      put(t, x_t, x_0_hat);
      if (s === 0) put(0, x_s, x_s);
      show({ tiles, ...names });
      if (!model.w_max) await pause(SLOW);
      tick();
    }
  },
};
const drawn = new Map(); // columns of the row over w, by network, digit, seed and w

// The noise x_T that a seed stands for, and the fresh noise of a student that takes several steps.
function start(seed, n, steps, tick) {
  return { x_T: gaussian(seed, n * PIXELS), z: (i) => gaussian(seed + 7919 * (i + 1), n * PIXELS), steps, tick };
}

function describe(wish) {
  const what = {
    grid: {
      all: "The digits 0 to 9, each from its own noise.",
      null: "Ten digits without a label: w has nothing to push.",
    }[wish.digit] ?? `Ten times the digit ${wish.digit}, each from other noise.`,
    row: "Each row starts from one noise; only w differs. The first column follows the slider.",
    film: wish.digit === "all"
      ? `From noise to digits: each row is one digit, ${X_T} at nine times.`
      : `From noise to a digit: above ${X_T}, below the digit ${X_0_HAT} that the network sees in it.`,
    mix: `Ten times ${sayRow(wish.shares)}, each from other noise.`,
  }[wish.view];
  return `${what} ${sayW(wish.w)}`;
}

// ---- the controls

export function startLab(models, failed) {
  const picture = new Picture(document.querySelector("#lab .stage"));
  const { student } = models;
  let times = []; // when the last pictures were shown
  let playing = null;

  function shown(what, wish, model, steps, began) {
    picture.show(what);
    const words = describe(wish);
    if (one("caption").innerHTML !== words) {
      one("caption").innerHTML = words;
      picture.canvas.setAttribute("aria-label", one("caption").textContent);
    }
    const now = performance.now();
    times = [...times.filter((time) => now - time < 1000), now];
    const beyond = model.w_max && wish.w > model.w_max ? `; it learned w up to ${model.w_max} and stays there` : "";
    one("drawn-by").className = model.name;
    one("drawn-by").textContent = `${model.name}, ${saySteps(steps)}${beyond}`;
    const rate = model.w_max && times.length > 5 ? ` · ${times.length} pictures in the last second` : "";
    one("speed").textContent = `${Math.round(now - began)} ms${rate}`;
    one("lab").dataset.shows = [model.name, steps, wish.view, wish.w, wish.digit, wish.seed].join(" ");
  }

  async function draw(wish, model, steps, tick = () => {}) {
    const began = performance.now();
    await views[wish.view](wish, model, steps, (what) => shown(what, wish, model, steps, began), tick);
  }

  const artist = new Artist({
    sketch: (wish) => draw(wish, student, 1),
    async finish(wish, tick) {
      const [name, steps] = wish.by.split(" ");
      const only = wish.view === "film" && name === "student"; // the film of two steps has no more to show
      if (wish.by !== "student 1" && !only) await draw(wish, models[name], Number(steps), tick);
      one("said").textContent = one("caption").textContent; // for who listens: only what stays
    },
    failed,
  });

  function changed() {
    const wish = state();
    const w = sayNumber(wish.w);
    one("w").setAttribute("aria-valuetext", `w = ${w}`);
    one("w").style.setProperty("--at", `${(100 * (wish.w - W_MIN)) / (W_MAX - W_MIN)}%`);
    if (document.activeElement !== one("w-number")) typed(w);
    one("scale").textContent = sayNumber(1 + wish.w);
    one("mix").hidden = wish.view !== "mix";
    one("digit").disabled = wish.view === "mix";
    all("#mix input").forEach((slider, digit) => {
      const percent = `${Math.round(100 * rowOf(wish.shares)[digit])} %`;
      slider.setAttribute("aria-valuetext", percent);
      slider.style.setProperty("--at", `${slider.value}%`);
      slider.parentElement.querySelector("output").textContent = percent;
    });
    artist.want(wish);
  }

  function typed(text) {
    one("w-number").value = text;
    one("w-number").removeAttribute("aria-invalid");
    one("w-error").textContent = "";
  }

  function setW(w) {
    one("w").value = wNow = w;
    changed();
  }

  one("w-number").addEventListener("change", () => {
    const text = one("w-number").value;
    const w = readNumber(text);
    if (w >= W_MIN && w <= W_MAX) {
      typed(sayNumber(w));
      stop();
      return setW(w);
    }
    one("w-number").setAttribute("aria-invalid", "true");
    one("w-error").textContent = `w is a number from −1 to 8 here, such as −0.5; “${text}” is not.`;
  });
  one("w-number").addEventListener("keydown", (event) => {
    if (event.key === "Escape") typed(sayNumber(state().w));
  });

  one("w").addEventListener("input", () => {
    stop();
    wNow = one("w").valueAsNumber;
    changed();
  });
  for (const control of [...all("#lab input[name=view], #mix input"), one("digit"), one("by")]) {
    control.addEventListener("input", changed);
  }
  one("seed").addEventListener("change", () => {
    one("seed").value = Math.min(Math.max(Math.floor(one("seed").valueAsNumber || 0), 0), 999999);
    changed();
  });
  one("new-noise").addEventListener("click", () => {
    one("seed").value = (Number(one("seed").value) + 1) % 1000000;
    changed();
  });
  for (const button of all("#mix button")) {
    button.addEventListener("click", () => {
      const digits = button.dataset.digits;
      all("#mix input").forEach((slider, digit) => (slider.value = digits.includes(digit) ? 100 : 0));
      changed();
    });
  }

  // Play: w goes up and down between its ends.
  function stop() {
    if (playing === null) return;
    cancelAnimationFrame(playing);
    playing = null;
    label();
  }
  function label() {
    one("play").textContent = playing === null ? "▶ Play" : "■ Stop";
    one("play").setAttribute("aria-label", playing === null ? "Play: w moves by itself" : "Stop w");
  }
  one("play").addEventListener("click", () => {
    if (playing !== null) return stop();
    let [before, direction] = [performance.now(), state().w < W_MAX ? 1 : -1];
    let w = state().w;
    const frame = (now) => {
      w += (direction * PLAY * (now - before)) / 1000;
      before = now;
      if (w >= W_MAX || w <= W_MIN) direction = w >= W_MAX ? -1 : 1;
      playing = requestAnimationFrame(frame);
      setW(Math.min(Math.max(w, W_MIN), W_MAX));
    };
    playing = requestAnimationFrame(frame);
    label();
  });

  changed();
}

// Before the networks are there: the noise that the first digits will come from.
export function showNoise() {
  const x = gaussian(state().seed, 10 * PIXELS);
  const picture = new Picture(document.querySelector("#lab .stage"));
  picture.show({ tiles: [0, 5].map((from) => [0, 1, 2, 3, 4].map((i) => cut(x, from + i))) });
}
