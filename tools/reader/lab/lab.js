// The guidance lab: move w and everything else that guided sampling depends on, and see the digits change.
import { Artist } from "./artist.js";
import { gaussian, oneHot, PIXELS, repeat, sample, sampleSteps, timeSteps } from "./diffusion.js";
import { cut, Picture } from "./picture.js";
import { fill, SAY, sayNumber, sayW, sayWho, typeset } from "./words.js";

const [W_MIN, W_MAX] = [-1, 8];
const STEPS = 8; // the teacher's
const [X_T, X_0_HAT] = ["x_t", "x̂_0"].map(typeset);
const NOISES = 5; // rows of the row over w for a single digit
const PLAY = 1.5; // how much w changes in a second
const MORPH = 0.5; // how many digits the label row goes on in a second
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
  const parts = [...rowOf(shares)].map((share, digit) => ({ percent: Math.round(100 * share), digit }));
  const said = parts.filter(({ digit }) => shares[digit] > 0).map((part) => fill(SAY.captions.share, part));
  return said.join(" + ") || SAY.captions["no label"];
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
  const { digit, shares } = wish;
  const many = { all: "all", null: "none" }[digit] ?? "one";
  const key = { grid: many, film: digit === "all" ? "film" : "film of one" }[wish.view] ?? wish.view;
  const what = fill(SAY.captions[key], { digit, differs: "only w differs", row: sayRow(shares) });
  return `${typeset(what)} ${sayW(wish.w)}`;
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
    const beyond = model.w_max && wish.w > model.w_max ? `; it ${fill(SAY.limit, model)}` : "";
    one("drawn-by").className = model.name;
    one("drawn-by").textContent = sayWho(model.name, steps) + beyond;
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
    label();
    all("#mix input").forEach((slider, digit) => {
      const percent = `${Math.round(100 * rowOf(wish.shares)[digit])} %`;
      slider.setAttribute("aria-valuetext", percent);
      slider.style.setProperty("--at", `${slider.value}%`);
      slider.parentElement.querySelector("output").textContent = percent;
    });
    artist.want(wish);
  }

  function typed(text, said = "") {
    one("w-number").value = text;
    one("w-error").textContent = said;
  }

  function setW(w) {
    one("w").value = wNow = w;
    changed();
  }

  one("w-number").addEventListener("change", () => {
    const now = sayNumber(wNow);
    const { numbers, said } = readTyped(SAY.typed, one("w-number").value, { name: "w", now, least: W_MIN, most: W_MAX });
    if (!numbers) return typed(now, said);
    stop();
    setW(numbers[0]);
    typed(sayNumber(wNow), said);
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
    control.addEventListener("input", () => {
      if (!control.matches("select")) stop(); // a digit or a network may be chosen while w moves
      changed();
    });
  }
  let seedNow = one("seed").value;
  one("seed").addEventListener("change", () => {
    const typed = Math.floor(one("seed").valueAsNumber);
    if (!Number.isNaN(typed)) seedNow = Math.min(Math.max(typed, 0), 999999);
    one("seed").value = seedNow;
    changed();
  });
  one("new-noise").addEventListener("click", () => {
    one("seed").value = (Number(one("seed").value) + 1) % 1000000;
    changed();
  });
  for (const button of all("#mix button")) {
    button.addEventListener("click", () => {
      stop();
      setShares((digit) => Number(button.dataset.digits.includes(digit)));
    });
  }
  function setShares(shareOf) {
    all("#mix input").forEach((slider, digit) => (slider.value = 100 * shareOf(digit)));
    changed();
  }

  // Play: w goes up and down between its ends; in the mix view the label goes from digit to digit.
  function moveW() {
    let [w, direction] = [wNow, wNow < W_MAX ? 1 : -1];
    return (seconds) => {
      w += direction * PLAY * seconds;
      if (w >= W_MAX || w <= W_MIN) direction = w >= W_MAX ? -1 : 1;
      setW(Math.min(Math.max(w, W_MIN), W_MAX));
    };
  }
  function moveLabel() {
    const row = rowOf(state().shares);
    const asked = [...row.keys()].filter((digit) => row[digit] > 0);
    const digits = asked.length > 1 ? asked : [...row.keys()];
    let at = digits.length === 2 ? row[digits[1]] : 0;
    return (seconds) => {
      at = (at + MORPH * seconds) % digits.length;
      const [from, to] = [0, 1].map((i) => digits[(Math.floor(at) + i) % digits.length]);
      setShares((digit) => ({ [from]: 1 - (at % 1), [to]: at % 1 })[digit] ?? 0);
    };
  }
  function stop() {
    if (playing === null) return;
    cancelAnimationFrame(playing);
    playing = null;
    label();
  }
  function label() {
    const what = chosen("view") === "mix" ? "the label" : "w";
    one("play").textContent = playing === null ? "▶ Play" : "■ Stop";
    one("play").setAttribute("aria-label", playing === null ? `Play: ${what} moves by itself` : `Stop ${what}`);
  }
  one("play").addEventListener("click", () => {
    if (playing !== null) return stop();
    const move = chosen("view") === "mix" ? moveLabel() : moveW();
    let before = performance.now();
    const frame = (now) => {
      playing = requestAnimationFrame(frame);
      move(Math.max(0, now - before) / 1000);
      before = now;
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
