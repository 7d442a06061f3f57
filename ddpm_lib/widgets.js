// What ipywidgets has no setting for: names of knobs and of the play buttons, pressed states, numbers typed in any form.
const lab = this.closest('.guidance-lab');
if (lab && !lab.dataset.named) {
  lab.dataset.named = true;
  const labelOf = part => part.closest('.widget-slider').querySelector('.widget-label').textContent;
  const set = (element, values) => Object.entries(values).forEach(([key, value]) => {
    if (element.getAttribute(key) !== String(value)) element.setAttribute(key, value);  // else the observer never rests
  });
  const name = () => {
    lab.querySelectorAll('[title=null]').forEach(element => element.removeAttribute('title'));
    lab.querySelectorAll('.widget-slider').forEach(slider => {
      const label = labelOf(slider), knobs = slider.querySelectorAll('[role=slider]');
      knobs.forEach((knob, i) => set(knob, {'aria-label': knobs.length > 1 ? `${label}, ${['from', 'to'][i]} t` : label}));
      set(slider.querySelector('.widget-readout'), {role: 'textbox', 'aria-label': `${label}, as a number`});
    });
    lab.querySelectorAll('.widget-toggle-buttons').forEach(group =>
      set(group, {role: 'group', 'aria-label': group.querySelector('.widget-label').textContent}));
    lab.querySelectorAll('.widget-toggle-button, .widget-play .fa-retweet').forEach(element => {
      const button = element.closest('button');
      set(button, {'aria-pressed': button.classList.contains('mod-active')});
    });
    lab.querySelectorAll('.widget-play i').forEach(icon => {
      const text = {'fa-play': 'play', 'fa-pause': 'pause', 'fa-stop': 'stop', 'fa-retweet': 'repeat'}[icon.classList[1]];
      set(icon.parentElement, {'aria-label': text, title: text});
    });
    // Else a letter or a digit that is typed to choose from a list is JupyterLab's command: "a" adds a cell.
    lab.querySelectorAll('select').forEach(list => set(list, {'data-lm-suppress-shortcuts': true}));
    lab.querySelectorAll('img').forEach(image => set(image, {alt: image.title}));
  };
  const say = (slider, text) => {
    lab.querySelectorAll('.guidance-lab-typed').forEach(old => old.remove());
    if (!text) return;
    const line = slider.parentElement.insertBefore(document.createElement('p'), slider.nextSibling);
    set(line, {class: 'guidance-lab-typed', role: 'alert'});
    line.textContent = text;
  };
  // Before ipywidgets reads the box: what readTyped makes of it.
  const read = event => {
    const box = event.target;
    if (!box.matches?.('.widget-readout') || (event.type === 'keydown' && event.key !== 'Enter')) return;
    const slider = box.closest('.widget-slider'), knobs = [...slider.querySelectorAll('[role=slider]')];
    const now = box.dataset.shown ?? box.textContent, whole = !now.includes('.');
    const least = +knobs[0].getAttribute('aria-valuemin'), most = +knobs.at(-1).getAttribute('aria-valuemax');
    const typed = box.textContent.trim();
    const {numbers, said} = readTyped(SAY.typed, typed, {name: labelOf(box), now, least, most, range: knobs.length > 1});
    if (said || typed !== now) say(slider, said);
    box.textContent = numbers ? numbers.map(x => whole ? Math.round(x) : x).join(' – ') : now;
    setTimeout(() => { box.dataset.shown = box.textContent; });  // when ipywidgets has written what holds now
  };
  lab.addEventListener('focusin', ({target}) => {
    if (target.matches('.widget-readout')) target.dataset.shown = target.textContent;
  });
  lab.addEventListener('pointerdown', () => say(), true);
  lab.addEventListener('keydown', read, true);
  lab.addEventListener('blur', read, true);

  // A kernel that was shut down, or is busy, looks as if it listened: Python counts its answers.
  const controls = () => [...lab.querySelectorAll('[role=slider], select, [type=checkbox], .widget-toggle-button')]
    .map(control => [control.ariaValueText, control.ariaPressed, control.value, control.checked]).join();
  let heard, timer;
  const ask = ({type, target}) => {
    heard = type === 'click' && target.closest('.widget-button') ? '' : heard ?? controls();
    clearTimeout(timer);
    timer = setTimeout(() => lab.classList.toggle('guidance-lab-waits', heard !== controls()), 5000);
  };
  ['keydown', 'pointerdown', 'pointerup', 'click', 'change'].forEach(kind => lab.addEventListener(kind, ask, true));

  const look = changes => {
    name();
    if (!changes.some(({target}) => target.closest('.guidance-lab-answer, .guidance-lab-status'))) return;
    heard = controls();
    lab.classList.remove('guidance-lab-waits');
  };
  look([]);
  new MutationObserver(look).observe(lab, {subtree: true, childList: true, attributeFilter: ['class', 'title']});
}
