// The w scrubber: all frames lie below each other in one picture; the slider moves it behind a window of one frame.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const scrubber = document.querySelector("figure.scrubber:has(> script)");
  const { names, captions } = JSON.parse(scrubber.querySelector("script").textContent);
  const slider = scrubber.querySelector("input");
  const picture = scrubber.querySelector("img");

  function show() {
    const frame = slider.valueAsNumber;
    picture.style.translate = `0 ${(-100 * frame) / names.length}%`;
    picture.alt = picture.alt.replace(/w = .*$/, names[frame]);
    slider.setAttribute("aria-valuetext", names[frame]);
    scrubber.querySelector("figcaption").innerHTML = captions[frame];
  }

  slider.addEventListener("input", show);
  show(); // a reload may have kept the slider's position
});
