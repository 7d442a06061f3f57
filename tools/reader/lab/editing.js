// Finishing a drawing, and filling in a part of a picture: `edit` and `inpaint` of ddpm_lib/editing.py.
import { addNoise, ancestralStep, ddimStep, last, levels, predictX0, sampleSteps, timeSteps } from "./diffusion.js";

// Noise the pictures x_0 to time t, and draw from there down to 0 (SDEdit: Meng et al. 2021, arXiv:2108.01073).
// What is small drowns in the noise and is drawn anew, what is large stays. eps: noise, as long as x_0.
export function edit(model, x_0, y, t, w, { eps, steps, tick }) {
  const times = [t, ...timeSteps(model.T, steps).filter((s) => s < t)];
  return last(sampleSteps(model, y, w, { x: addNoise(model, x_0, t, eps), times, step: ddimStep, tick }));
}

// Draw the pixels where mask is 1; after each step the others are those of x_0, noised to the time of the step. Each step
// from t to s is taken `repeats` times, with noise that leads back up to t between them, so that what is filled in fits
// what is known (RePaint: Lugmayr et al. 2022, arXiv:2201.09865). draw(): fresh noise, as long as x_0 and mask.
export async function inpaint(model, x_0, mask, y, w, { draw, steps, repeats, tick = () => {} }) {
  let x_t = draw();
  const times = timeSteps(model.T, steps);
  for (let i = 0; i < steps; i++) {
    const [t, s] = [times[i], times[i + 1]];
    const ratio = levels(model, t)[0] / levels(model, s)[0]; // √(ᾱ_t/ᾱ_s)
    let x_s;
    let z = draw();
    for (let left = s > 0 ? repeats : 1; left > 0; left--) {
      const x_0_hat = await predictX0(model, x_t, t, y, w, tick);
      const [drawn, known] = [ancestralStep(model, x_t, x_0_hat, t, s, z), addNoise(model, x_0, s, z)];
      x_s = drawn.map((pixel, i) => (mask[i] ? pixel : known[i]));
      if (left === 1) break;
      const up = draw();
      z = draw();
      x_t = x_s.map((pixel, i) => ratio * pixel + Math.sqrt(1 - ratio ** 2) * up[i]);
    }
    x_t = x_s;
  }
  return x_t.map((pixel, i) => (mask[i] ? pixel : x_0[i]));
}
