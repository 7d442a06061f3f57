// From noise to digits: what ddpm_lib/sampling.py, distillation.py and editing.py do, for arrays of JavaScript.
// Images   Float32Array of B · 784 numbers, in [−1, 1]
// Labels   rows of ten class weights, one behind the other (B · 10); a row of zeros is "no label"
// Time     t runs from T (only noise) to 0 (a digit)
export const PIXELS = 28 * 28;
export const CLASSES = 10;

// ---- randomness: a seed gives the same noise in every browser (and other noise than in Python, which draws otherwise)

// n standard Gaussian numbers: a small generator of uniform ones (mulberry32), and Box and Muller's two from two.
export function gaussian(seed, n) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
  const numbers = new Float32Array(n);
  for (let i = 0; i < n; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    numbers[i] = radius * Math.cos(angle);
    if (i + 1 < n) numbers[i + 1] = radius * Math.sin(angle);
  }
  return numbers;
}

// ---- labels

export function oneHot(digits) {
  const y = new Float32Array(digits.length * CLASSES);
  digits.forEach((digit, i) => digit !== null && (y[i * CLASSES + digit] = 1)); // null is "no label"
  return y;
}

export function repeat(row, times) {
  const all = new Float32Array(row.length * times);
  for (let i = 0; i < times; i++) all.set(row, i * row.length);
  return all;
}

// ---- the noise schedule

// Signal and noise level at t: √ᾱ_t and √(1−ᾱ_t), from the tables that Python wrote into the page.
export function levels(model, t) {
  return [model.signal[t], model.sigma[t]];
}

// x_t = √ᾱ_t·x_0 + √(1−ᾱ_t)·ε
export function addNoise(model, x_0, t, eps) {
  const [signal, sigma] = levels(model, t);
  return x_0.map((pixel, i) => signal * pixel + sigma * eps[i]);
}

// steps + 1 times, evenly spread, from t_start down to 0.
export function timeSteps(t_start, steps) {
  return Array.from({ length: steps + 1 }, (_, i) => t_start - Math.floor((i * t_start) / steps));
}

// ---- the network's guess

// x̂_0, clipped to [−1, 1], guided by w: a number, or one for each image. tick() may throw, which ends the drawing.
//
// The networks regress v = √ᾱ·ε − √(1−ᾱ)·x_0, so that ε = √ᾱ·v + √(1−ᾱ)·x_t. Guidance is ε̂ = (1+w)·ε(y) − w·ε(∅).
// JavaScript computes with 64 bits, Python's tensors have 32: `round` makes them agree. At t = T this is seen, as √ᾱ is
// 0.00005 there, and what is lost in the last digit of ε̂ is divided by it.
export async function predictX0(model, x_t, t, y, w, tick) {
  const round = Math.fround;
  const [signal, sigma] = levels(model, t);
  const B = x_t.length / PIXELS;
  const each = typeof w === "number" ? new Float32Array(B).fill(w) : w;
  const one = round(round(signal * signal) + round(sigma * sigma)); // but for rounding
  const epsOf = async (told) => {
    const v = await model.call({ x_t, t_over_T: new Float32Array(B).fill(t / model.T), ...told }, tick);
    return v.map((v, i) => round(round(signal * v) + round(sigma * x_t[i])) / one);
  };
  let eps;
  if (model.w_max) {
    // The student hears w itself, as far as it learned it.
    eps = await epsOf({ y, w: each.map((w) => Math.min(Math.max(w, -1), model.w_max)) });
  } else if (each.every((w) => w === 0)) {
    eps = await epsOf({ y });
  } else {
    const none = new Float32Array(y.length);
    const [eps_y, eps_null] = [await epsOf({ y }), await epsOf({ y: none })];
    const guided = (w, i) => round(round(1 + w) * eps_y[i]) - round(w * eps_null[i]);
    eps = eps_y.map((_, i) => guided(each[Math.floor(i / PIXELS)], i));
  }
  return eps.map((eps, i) => Math.min(Math.max(round(x_t[i] - round(sigma * eps)) / signal, -1), 1));
}

// ---- steps from t to s

// DDIM: x_s = √ᾱ_s·x̂_0 + √(1−ᾱ_s)·ε̂, the same noise, but less of it.
export function ddimStep(model, x_t, x_0_hat, t, s) {
  const [[signal_t, sigma_t], [signal_s, sigma_s]] = [levels(model, t), levels(model, s)];
  return x_0_hat.map((x_0, i) => signal_s * x_0 + (sigma_s * (x_t[i] - signal_t * x_0)) / sigma_t);
}

// Ancestral: x_s from q(x_s | x_t, x̂_0), with the fresh noise z. r = SNR_t/SNR_s.
export function ancestralStep(model, x_t, x_0_hat, t, s, z) {
  const [[signal_t], [signal_s, sigma_s]] = [levels(model, t), levels(model, s)];
  const log_r = s === 0 ? -Infinity : model.log_snr[t] - model.log_snr[s];
  const [r, rest] = [Math.exp(log_r), -Math.expm1(log_r)];
  const std = sigma_s * Math.sqrt(rest);
  return x_0_hat.map((x_0, i) => signal_s * (rest * x_0 + (r / signal_t) * x_t[i]) + std * z[i]);
}

// The student's step where it takes more than one: forget x_t, and noise the guess anew with z.
export function renoiseStep(model, x_t, x_0_hat, t, s, z) {
  return addNoise(model, x_0_hat, s, z);
}

// ---- drawing

// Yields {t, x_t, x_0_hat, s, x_s} after each step. From x_T down, or, with times, from the first of them.
// z(i): the fresh noise of step i, for a step function that needs it.
export async function* sampleSteps(model, y, w, { x, times, step = ddimStep, z = null, tick = () => {} }) {
  let x_t = x;
  for (let i = 0; i + 1 < times.length; i++) {
    const [t, s] = [times[i], times[i + 1]];
    const x_0_hat = await predictX0(model, x_t, t, y, w, tick);
    const x_s = step(model, x_t, x_0_hat, t, s, z?.(i));
    yield { t, x_t, x_0_hat, s, x_s };
    x_t = x_s;
  }
}

// The last picture of a walk.
export async function last(walk) {
  let picture;
  for await (const { x_s } of walk) picture = x_s;
  return picture;
}

// Digits from the noise x_T, as `sample` draws them: the teacher with DDIM, the student in one step or a few.
export function sample(model, y, w, { x_T, steps, z, tick }) {
  const step = model.w_max ? renoiseStep : ddimStep;
  return last(sampleSteps(model, y, w, { x: x_T, times: timeSteps(model.T, steps), step, z, tick }));
}
