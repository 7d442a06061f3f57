// The pad: draw something and let the network finish it, or paint over a part of a digit and let it be filled in.
import { Artist } from "./artist.js";
import { addNoise, gaussian, oneHot, PIXELS, repeat, sample } from "./diffusion.js";
import { edit, inpaint } from "./editing.js";
import { paint } from "./picture.js";
import { sayNumber, sayWho } from "./words.js";

const SIDE = 28;
const ZOOM = 12; // pixels of the paper for one of the picture
const CANDIDATES = 5;
const STEPS = 8; // the teacher's; the student takes one to finish a drawing, and two to fill in
const PENS = { ink: 1.25, rubber: 2, cover: 2.4 }; // radius, in pixels of the picture

const one = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;

export function startPad({ teacher, student }, failed) {
  const paper = one("paper");
  const context = paper.getContext("2d");
  let ink = new Float32Array(PIXELS); // 0 … 1
  let cover = new Float32Array(PIXELS); // 1 where the digit is painted over
  let before = []; // for undo
  let seed = 0; // of the candidates
  let cursor = [14, 14]; // of the keyboard
  let down = false; // whether the pen touches the paper
  let finished = []; // the candidates, in [−1, 1]

  const fills = () => chosen("task") === "fill";
  const pen = () => (fills() ? "cover" : chosen("pen"));

  // ---- the paper

  // A round dot of the pen at (x, y), in pixels of the picture; soft at its edge, as a scanned digit.
  function dot(x, y) {
    const radius = PENS[pen()];
    for (let row = Math.max(0, Math.floor(y - radius - 1)); row <= Math.min(SIDE - 1, y + radius + 1); row++) {
      for (let column = Math.max(0, Math.floor(x - radius - 1)); column <= Math.min(SIDE - 1, x + radius + 1); column++) {
        const i = row * SIDE + column;
        const touched = Math.min(Math.max(radius + 0.5 - Math.hypot(column + 0.5 - x, row + 0.5 - y), 0), 1);
        if (pen() === "ink") ink[i] = Math.max(ink[i], touched);
        if (pen() === "rubber") ink[i] = Math.min(ink[i], 1 - touched);
        if (pen() === "cover" && touched > 0.5) cover[i] = 1;
      }
    }
  }

  function line([x_0, y_0], [x_1, y_1]) {
    const dots = Math.ceil(4 * Math.hypot(x_1 - x_0, y_1 - y_0)) || 1;
    for (let i = 1; i <= dots; i++) dot(x_0 + ((x_1 - x_0) * i) / dots, y_0 + ((y_1 - y_0) * i) / dots);
  }

  function show() {
    const style = getComputedStyle(paper);
    paint(context, ink.map((value) => 2 * value - 1), 0, 0, paper.width);
    if (fills()) {
      context.fillStyle = style.getPropertyValue("--cover");
      cover.forEach((covered, i) => {
        if (covered) context.fillRect((i % SIDE) * ZOOM, Math.floor(i / SIDE) * ZOOM, ZOOM, ZOOM);
      });
    }
    if (paper.matches(":focus-visible")) {
      context.strokeStyle = style.getPropertyValue("--cursor");
      context.lineWidth = down ? 4 : 2;
      context.beginPath();
      context.arc(cursor[0] * ZOOM, cursor[1] * ZOOM, (PENS[pen()] + 0.7) * ZOOM, 0, 7);
      context.stroke();
    }
  }

  function remember() {
    before = [...before.slice(-49), [ink.slice(), cover.slice()]];
  }

  function changed() {
    show();
    one("undo").disabled = !before.length;
    const t = Number(one("forget").value);
    const w = Number(one("pad-w").value);
    one("forget-says").textContent = `t = ${t} of ${teacher.T}`;
    one("forget").setAttribute("aria-valuetext", `t = ${t}`);
    one("forget").style.setProperty("--at", `${(100 * (t - 50)) / (teacher.T - 50)}%`);
    one("pad-w-says").textContent = `w = ${sayNumber(w)}`;
    one("pad-w").setAttribute("aria-valuetext", `w = ${sayNumber(w)}`);
    one("pad-w").style.setProperty("--at", `${(100 * (w + 1)) / 5}%`);
    all("#pad [data-task]").forEach((part) => (part.hidden = part.dataset.task !== chosen("task")));
    const label = one("pad-label").value;
    const nothing = fills() ? !cover.some(Boolean) : !ink.some(Boolean);
    one("hint").hidden = !nothing;
    one("results").hidden = nothing;
    if (nothing) return;
    artist.want({
      task: chosen("task"), x_0: repeat(ink.map((value) => 2 * value - 1), CANDIDATES), mask: repeat(cover, CANDIDATES),
      y: oneHot(Array(CANDIDATES).fill(label === "none" ? null : Number(label))), label, t, w, seed,
    });
  }

  // ---- the network

  async function make(wish, model, steps, tick = () => {}) {
    const began = performance.now();
    const n = CANDIDATES * PIXELS;
    let drawn = 1000 * wish.seed; // each noise has a seed of its own
    const draw = () => gaussian((drawn += 1), n);
    const eps = draw();
    const x = wish.task === "fill"
      ? await inpaint(model, wish.x_0, wish.mask, wish.y, wish.w, { draw, steps, repeats: 1, tick })
      : await edit(model, wish.x_0, wish.y, wish.t, wish.w, { eps, steps, tick });
    finished = Array.from({ length: CANDIDATES }, (_, i) => x.slice(i * PIXELS, (i + 1) * PIXELS));
    all("#candidates button canvas").forEach((canvas, i) => paint(canvas.getContext("2d"), finished[i], 0, 0, canvas.width));
    const noised = wish.task === "fill" ? null : addNoise(model, wish.x_0.slice(0, PIXELS), wish.t, eps);
    if (noised) paint(one("noised").getContext("2d"), noised, 0, 0, one("noised").width);
    one("pad-drawn-by").className = model.name;
    one("pad-drawn-by").textContent = sayWho(model.name, steps);
    one("pad-speed").textContent = `${Math.round(performance.now() - began)} ms`;
    one("pad").dataset.shows = [model.name, steps, wish.task, wish.label, wish.t, wish.w, wish.seed].join(" ");
  }

  const artist = new Artist({
    sketch: (wish) => make(wish, student, wish.task === "fill" ? 2 : 1),
    async finish(wish, tick) {
      await make(wish, teacher, STEPS, tick);
      const label = wish.label === "none" ? "no label" : `the label ${wish.label}`;
      one("pad-says").textContent = wish.task === "fill"
        ? `What you painted over is filled in five times, with ${label}. What you left is as it was.`
        : `Your drawing was noised to t = ${wish.t} with five noises, and drawn from there with ${label}.`;
    },
    failed,
  });

  // ---- pointer, keyboard, buttons

  const place = (event) => {
    const { left, top, width } = paper.getBoundingClientRect();
    return [((event.clientX - left) * SIDE) / width, ((event.clientY - top) * SIDE) / width];
  };
  let from = null;
  paper.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    paper.setPointerCapture(event.pointerId);
    remember();
    from = cursor = place(event);
    dot(...from);
    changed();
  });
  paper.addEventListener("pointermove", (event) => {
    if (!from) return;
    for (const part of event.getCoalescedEvents?.() ?? [event]) {
      line(from, place(part));
      from = cursor = place(part);
    }
    changed();
  });
  for (const end of ["pointerup", "pointercancel"]) paper.addEventListener(end, () => (from = null));

  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  paper.addEventListener("keydown", (event) => {
    if (event.key in moves && !event.altKey && !event.ctrlKey && !event.metaKey) {
      const [dx, dy] = moves[event.key];
      const to = [cursor[0] + dx, cursor[1] + dy].map((at) => Math.min(Math.max(at, 0), SIDE));
      if (down) line(cursor, to);
      cursor = to;
      down ? changed() : show();
    } else if (event.key === " ") {
      press(!down);
    } else if (event.key === "Escape") {
      press(false);
    } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
      undo();
    } else {
      return;
    }
    event.preventDefault();
  });
  function press(now) {
    if (now) remember();
    down = now;
    if (now) dot(...cursor);
    one("pen-says").textContent = now ? "The pen is down." : "The pen is up.";
    changed();
  }
  paper.addEventListener("focus", show);
  paper.addEventListener("blur", () => {
    down = false;
    show();
  });

  function undo() {
    if (before.length) [ink, cover] = before.pop();
    changed();
  }
  function take(picture) {
    remember();
    ink = picture.map((value) => (value + 1) / 2);
    cover = new Float32Array(PIXELS);
    changed();
  }
  one("undo").addEventListener("click", undo);
  one("clear").addEventListener("click", () => {
    remember();
    if (!fills()) ink = new Float32Array(PIXELS);
    cover = new Float32Array(PIXELS);
    changed();
  });
  one("others").addEventListener("click", () => {
    seed += 1;
    changed();
  });
  all("#candidates button").forEach((button, i) => button.addEventListener("click", () => take(finished[i])));

  // Digits of the network to begin with: one of each, new ones with each click.
  let given = 100;
  async function give(digit) {
    try {
      const x_T = gaussian((given += 1), PIXELS);
      take(await sample(teacher, oneHot([digit]), 1, { x_T, steps: STEPS, tick: () => {} }));
    } catch (error) {
      failed(error);
    }
  }
  all("#give button").forEach((button, digit) => button.addEventListener("click", () => give(digit)));

  for (const control of all("#pad input, #pad select")) control.addEventListener("input", changed);
  for (const task of all("input[name=task]")) {
    task.addEventListener("input", () => {
      const label = one("pad-label").value;
      if (fills() && !ink.some(Boolean)) give(label === "none" ? 7 : Number(label));
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  changed();
}
