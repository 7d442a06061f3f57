// Start the lab and the pad; where the networks can't run, show digits that were drawn before (the scrubber).
import { edit, inpaint } from "./editing.js";
import { gaussian, sample } from "./diffusion.js";
import { showNoise, startLab } from "./lab.js";
import { startNetworks } from "./network.js";
import { startPad } from "./pad.js";

const about = JSON.parse(document.getElementById("about").textContent);

// In the page of a notebook: the lab alone, as high as it is.
if (window.top !== window) {
  document.documentElement.classList.add("embedded");
  const body = document.body;
  new ResizeObserver(() => parent.postMessage({ labHeight: body.scrollHeight }, "*")).observe(body);
}

function failed(error) {
  console.info(`The lab shows digits that were drawn before: ${error.message}`);
  if (document.documentElement.classList.contains("without-networks")) return;
  document.documentElement.classList.add("without-networks");
  document.getElementById("why").textContent = error.message;
  const scrubber = document.getElementById("drawn-before");
  scrubber.replaceWith(scrubber.content);
  startScrubber();
}

async function start() {
  showNoise();
  const models = await startNetworks(about, failed);
  startLab(models, failed);
  startPad(models, failed);
  // For tests, and for you in the browser's console: lab.sample(lab.models.teacher, y, w, {x_T, steps: 8}).
  window.lab = { models, gaussian, sample, edit, inpaint };
}

start().catch(failed);
