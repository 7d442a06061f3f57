"""The guidance lab: drag w and watch the digits change.

Images    [0, 1] until they are pixels
Flow      control → `LabState` → `lab_picture` (pure) → `LabPicture` → PNG bytes in an Image widget

A control only stores the state that is wanted now. One worker thread takes this state and draws a quick picture: with a
distilled student in one step, else in a few steps. If no newer state comes for a moment, it draws the full picture.
While there is nothing to draw, there is no thread. So dragging never queues work, and a kernel may run callbacks on any
thread, with or without an event loop. Nothing here touches pyplot, an Output widget or torch's global generator, which
threads share.
"""

import contextlib
import html
import importlib.resources
import io
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ddpm_lib import guards
from ddpm_lib.data import to_unit
from ddpm_lib.ddpm import DDPM, label_rows
from ddpm_lib.evaluation import DIGITS, Reference, classify, judge_of
from ddpm_lib.extras import needed_by
from ddpm_lib.folding import for_sampling
from ddpm_lib.precision import eval_mode
from ddpm_lib.sampling import SAMPLERS, sample_steps, time_steps

with needed_by("ddpm_lib.widgets", "lab"):
    import ipywidgets
    import traitlets
    from PIL import Image

COARSE_STEPS = 4  # while a control moves, a picture without a student is drawn in so many steps
REST = 0.12  # after so many seconds without a newer state, the full picture is drawn
PATIENCE = 0.3  # after so many seconds of work, the panel says that it is computing
FIXED_WEIGHTS = (-1.0, 0.0, 1.0, 2.0, 4.0, 8.0)  # the row over w shows these and the slider's w
SCRIPT, SHEET, SAY, TYPED = (
    (importlib.resources.files("ddpm_lib") / f"widgets{name}").read_text("utf-8")
    for name in (".js", ".css", ".json", "_typed.js")
)
OF_CLASSES = {  # where it isn't digits that are drawn, the lab says these words instead; the first that fits
    '"digit"': '"class"', "The digits 0 to 9": "One picture of each class", "the digit {": "{", "digit A": "class A",
    "digit B": "class B", "two digits": "two classes", "mix digits": "mix classes",
    "part one digit, part another": "part one class, part another", "Digit": "Picture", "digit": "picture",
}  # fmt: skip
SAY_OF_CLASSES = json.loads(re.sub("(?<![{])" + "|(?<![{])".join(OF_CLASSES), lambda m: OF_CLASSES[m[0]], SAY))
SAY = json.loads(SAY)  # what this lab and the one in a browser tab say (tools/lab_page.py)
# A widget's HTML runs handlers, but no <script>.
STYLE = f'<style onload="const SAY = {html.escape(json.dumps(SAY))};\n{html.escape(TYPED + SCRIPT)}">\n{SHEET}</style>'
FORMULA = re.compile(r"\b(x̂?)_(\w)\b")
NO_JUDGE, READ = "no judge for these classes", ("read as asked", "read as")
VIEWS = {"grid": "one w", "row": "row over w", "film": "film strip", "noise": "what it adds", "mix": "mix digits"}
ONE_STEP_VIEWS = ("grid", "row")  # a student draws these; the others show the way, or a label that it wasn't taught
MOST = {"grid": 100, "row": 10, "film": 10, "noise": 10}  # of all classes, a picture shows the first so many


@dataclass(frozen=True)
class LabState:
    """Everything that a picture depends on, except the model: the values of the controls.

    view: a key of `VIEWS`. w: guidance weight. digit: the class, 0 … K − 1, or None for all. seed: of the noise x_T.
    steps, sampler, guidance_interval: as in `sample`. t: 1 … T, where "film" and "noise" stop.
    first, second, share: the "mix" view's classes, and the second one's share of the label in [0, 1].
    distilled: whether the model is a distilled student, which draws the views of `ONE_STEP_VIEWS` in one step from x_T;
    steps, sampler and guidance_interval don't act then.
    """

    view: str = "grid"
    w: float = 1.0
    digit: int | None = None
    seed: int = 0
    steps: int = 20
    sampler: str = "ddim"
    guidance_interval: tuple[int, int] | None = None
    t: int = 350
    first: int = 3
    second: int = 8
    share: float = 0.5
    distilled: bool = False


@dataclass(frozen=True)
class LabPicture:
    """A picture as pixels (H, W, 2) uint8, grey and opacity, or (H, W, 4) of colours, with its labels and words.

    agreement, distance: for the read-out, of the images drawn with the slider's w. Without a judge, agreement is "–".
    """

    pixels: np.ndarray
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    caption: str
    agreement: str
    distance: str


class Kind(NamedTuple):
    """What a model draws: the names of its K classes, the (C, H, W) of an image, the lab's words, and who reads it."""

    names: tuple[str, ...]
    shape: tuple[int, int, int]
    say: dict
    judge: Reference | None

    @property
    def is_digits(self) -> bool:
        """Whether the model draws MNIST's digits, as far as it says."""
        return self.say is SAY


def kind_of(ddpm: DDPM, reference: Reference | None = None) -> Kind:
    """What ddpm draws. reference: as in `GuidanceLab`. Raises ValueError where it judges other pictures."""
    shape, K = getattr(ddpm, "image_shape", guards.MNIST), getattr(ddpm, "num_classes", 10)
    names = getattr(ddpm, "classes", ()) or getattr(reference, "classes", ()) or tuple(map(str, range(K)))
    is_digits = (names, shape) == (DIGITS, guards.MNIST)
    judge = judge_of(ddpm, reference) if is_digits or reference is not None else None
    return Kind(names, shape, SAY if is_digits else SAY_OF_CLASSES, judge)


class _Superseded(Exception):
    """Drawing stopped because a newer state is wanted."""


# ---------------------------------------------------------------------------- state in, pixels out


def lab_picture(
    ddpm: DDPM, state: LabState, tick: Callable[[], None] = lambda: None, reference: Reference | None = None
) -> LabPicture:
    """The picture of a state: the same pixels for the same model, state, machine and number of threads.

    tick: called after each step of a sampler; what it raises ends the drawing. reference: as in `GuidanceLab`.
    Raises ValueError where `sample` does.
    """
    views = {"grid": _grid, "row": _row, "film": _film, "noise": _noise, "mix": _mix}
    guards.choice("view", state.view, ONE_STEP_VIEWS if state.distilled else tuple(views))
    if state.distilled:
        state = replace(state, steps=1, sampler="ddim", guidance_interval=None)
    kind = kind_of(ddpm, reference)
    ddpm = for_sampling(ddpm)  # meanwhile another thread may sample or train with the caller's model
    with torch.inference_mode(), eval_mode(ddpm):
        picture = views[state.view](ddpm, kind, state, tick)
    if state.digit is None and len(kind.names) > (most := MOST.get(state.view, len(kind.names))):
        picture = replace(picture, caption=f"The first {most} of {len(kind.names)} classes. {picture.caption}")
    w_max, largest = getattr(ddpm, "w_max", 0), max(state.w, *FIXED_WEIGHTS) if state.view == "row" else state.w
    if 0 < w_max < largest:
        limit = SAY["limit"].format(w_max=say_number(w_max))
        picture = replace(picture, caption=f"{picture.caption} This network {limit}.")
    return picture


def _labels(kind: Kind, state: LabState, n: int = 10) -> Tensor:
    """Each class, or n times the one that was asked for."""
    return (
        torch.arange(min(len(kind.names), MOST[state.view])) if state.digit is None else torch.full((n,), state.digit)
    )


def _walk(ddpm, kind, state, labels, tick, weights=None) -> Iterator[tuple[int, Tensor, Tensor]]:
    """(t, x_t, x̂_0) after each step, from the noise of the state's seed; with weights, each label has all."""
    generator, w, x_T = torch.Generator().manual_seed(state.seed), state.w, None
    if weights is not None:
        x_T = torch.randn(len(labels), *kind.shape, generator=generator).repeat_interleave(len(weights), dim=0)
        w, labels = torch.tensor(weights).repeat(len(labels)), labels.repeat_interleave(len(weights))
    walk = sample_steps(ddpm, labels, w, state.sampler, state.steps, state.guidance_interval, generator, x_T=x_T)
    for t, (x_t, x_0_hat) in zip(time_steps(ddpm.schedule.T, state.steps)[1:], walk, strict=True):
        tick()
        yield t, x_t, x_0_hat


def _last(walk: Iterator) -> Tensor:
    *_, (_, x_0, _) = walk
    return to_unit(x_0.clamp(-1, 1))


def _grid(ddpm, kind, state, tick) -> LabPicture:
    x = _last(_walk(ddpm, kind, state, labels := _labels(kind, state), tick))
    what = kind.say["captions"]["all" if state.digit is None else "one"]
    what = what.format(digit=None if state.digit is None else kind.names[state.digit])
    across, columns, rows = _across(len(x)), (), ()
    if state.digit is None and not kind.is_digits:
        if len(x) <= across:
            columns = _short(kind, labels)
        else:
            rows = [" – ".join(dict.fromkeys(_short(kind, part[[0, -1]]))) for part in labels.split(across)]
    return _picture(kind, state, x, across, x, labels, f"{what} {_say_where(ddpm, state, say_w(state.w))}",
                    columns, rows)  # fmt: skip


def _across(n: int) -> int:
    """How many of n images stand in a row, so that all of them fit: wider than high, and rows of about equal length."""
    most = 5 if n <= 10 else 7 if n <= 35 else 10
    return -(-n // -(-n // most))


def _short(kind: Kind, labels: Tensor) -> tuple[str, ...]:
    """The names of classes, cut where they are wider than an image."""
    names = (kind.names[label] for label in labels.tolist())
    return tuple(name if len(name) <= 9 else f"{name[:8]}…" for name in names)


def _row(ddpm, kind, state, tick) -> LabPicture:
    labels, weights = _labels(kind, state, n=1), (state.w, *FIXED_WEIGHTS)
    x = _last(_walk(ddpm, kind, state, labels, tick, weights))
    differs = "w and the noise on the way differ" if state.sampler == "ancestral" else "only w differs"
    caption = kind.say["captions"]["row"].format(differs=differs)
    if state.guidance_interval is not None:
        caption += f" {_say_where(ddpm, state, 'The w of a column acts.')}"
    columns = [f"▸ w = {say_number(state.w)}", *map(say_number, FIXED_WEIGHTS)]
    rows = () if kind.is_digits else _short(kind, labels)
    return _picture(kind, state, x, len(weights), x[:: len(weights)], labels, caption, columns, rows)


def _film(ddpm, kind, state, tick) -> LabPicture:
    labels = _labels(kind, state, n=1)
    frames = list(_walk(ddpm, kind, state, labels, tick))
    here = min(range(len(frames)), key=lambda i: abs(frames[i][0] - state.t))
    t, x_t, x_0_hat = frames[here]
    if state.digit is None:
        strip, columns = torch.cat([x_t, x_0_hat]), _short(kind, labels)
    else:
        shown = [here, *(round(i * (len(frames) - 1) / 8) for i in range(9))]
        strip = torch.cat([frames[i][part] for part in (1, 2) for i in shown])
        columns = [f"▸ t={t}", *(f"{frames[i][0]}" for i in shown[1:])]
    caption = f"{kind.say['captions']['film at t'].format(t=t)} {_say_where(ddpm, state, say_w(state.w))}"
    judged = to_unit(x_0_hat)
    return _picture(kind, state, to_unit(strip), len(columns), judged, labels, caption, columns, ("x_t", "x̂_0"))


def _noise(ddpm, kind, state, tick) -> LabPicture:
    labels = _labels(kind, state)
    guards.count("the number of steps in this view, which stops on the way,", state.steps, least=2)
    t = min(time_steps(ddpm.schedule.T, state.steps)[1:-1], key=lambda t: abs(t - state.t))
    walk = _walk(ddpm, kind, state, labels, tick)
    x_t = next(x for at, x, _ in walk if at == t)
    _, _, x_0_hat = next(walk)  # the next step begins with what the network sees in x_t
    now, y = torch.full((len(labels),), t, device=x_t.device), labels.to(x_t.device)
    eps_y, eps_null = (ddpm.predict_noise(x_t, now, y, w=w) for w in (0.0, -1.0))
    judged = to_unit(x_0_hat)
    images = torch.cat([(x_t + 2) / 4, (eps_y + 2) / 4, (eps_null + 2) / 4, 0.5 + eps_null - eps_y, judged])
    caption = (
        f"The network's guesses of the noise in x_t at t = {t}, with the label and without. They look alike; in their "
        f"difference, bright is where the label asks for {'ink' if kind.shape[0] == 1 else 'light'}, dark where it "
        "forbids it. As noise it has the other sign."
    )
    rows = ("x_t", "ε(y)", "ε(∅)", "ε(∅) − ε(y)", "x̂_0")
    return _picture(kind, state, images, len(labels), judged, labels, caption, _short(kind, labels), rows)


def _mix(ddpm, kind, state, tick) -> LabPicture:
    a, b = label_rows(torch.tensor([state.first, state.second]), len(kind.names), name="first and second")
    y = ((1 - state.share) * a + state.share * b).repeat(10, 1)
    x = _last(_walk(ddpm, kind, state, y, tick))
    say = kind.say["captions"]
    row = " + ".join(
        say["share"].format(percent=round(100 * share), digit=name)
        for name, share in zip(kind.names, y[0].tolist(), strict=True)
        if share > 0
    )
    caption = f"{say['mix'].format(row=row)} {_say_where(ddpm, state, say_w(state.w))}"
    return _picture(kind, state, x, _across(len(x)), x, y, caption)


def _picture(kind, state, images, across, judged, labels, caption, columns=(), rows=()) -> LabPicture:
    """Images (N, C, H, W) as pixels, `across` in a row; and the read-out for the images `judged`."""
    guards.finite("the mean pixel", float(judged.mean()))
    C, H, W = kind.shape
    tiles = (images.float().cpu().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    down = -(-len(tiles) // across)
    pixels = np.zeros((down * across, H + 2, W + 2, C + 1), np.uint8)  # one transparent pixel around each image
    pixels[: len(tiles), 1:-1, 1:-1, :C], pixels[: len(tiles), 1:-1, 1:-1, C] = tiles, 255
    pixels = pixels.reshape(down, across, H + 2, W + 2, C + 1).transpose(0, 2, 1, 3, 4)
    pixels = pixels.reshape(down * (H + 2), across * (W + 2), C + 1)

    agreement = "–"
    if kind.judge is not None:
        read = classify(kind.judge.classifier, judged)[0].argmax(1).cpu()
        counted = (f"{(read == k).sum()} × {kind.names[k]}" for k in dict.fromkeys((state.first, state.second)))
        agreement = f"{(read == labels).sum()} of {len(read)}" if labels.ndim == 1 else ", ".join(counted)
    distance = f"{torch.pdist(judged.flatten(1).float().cpu()).mean():.1f}" if len(judged) > 1 else "–"
    return LabPicture(pixels, tuple(columns), tuple(rows), caption, agreement, distance)


def say_w(w: float) -> str:
    """What the guidance weight w does to the label: one sentence."""
    says = SAY["what w does"]
    return says.get(f"{w + 0.0:g}", says["below 0" if w < 0 else "above 0"]).format(w=say_number(w))


def _say_where(ddpm: DDPM, state: LabState, what: str) -> str:
    """What w does, and at how many of the steps if there is an interval."""
    if state.guidance_interval is None or what == say_w(0):
        return what
    t_min, t_max = state.guidance_interval
    acts = sum(t_min <= t <= t_max for t in time_steps(ddpm.schedule.T, state.steps)[:-1])
    if not acts:
        return f"No step falls into the interval {t_min} … {t_max}, so w does nothing: there is no guidance."
    where = f"at {acts} of {state.steps} steps{', without guidance at the others' * (acts < state.steps)}"
    return f"{what.removesuffix('.')} {where}."


def say_number(x: float) -> str:
    """A number with at most two decimals and a real minus sign."""
    return f"{round(x, 2) + 0.0:.2f}".rstrip("0").rstrip(".").replace("-", "−")


def png(pixels: np.ndarray) -> bytes:
    """Pixels uint8, (H, W) grey, (H, W, 3) colours, or one more for opacity, as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="png", compress_level=1)
    return file.getvalue()


# ---------------------------------------------------------------------------- the panel


class GuidanceLab(ipywidgets.VBox):
    """A panel in which you move w and everything else that guided sampling depends on, and see the digits change.

    ddpm: the model, as in `sample`; it is not changed. The first picture is there when the constructor returns. Its
    classes bear the names of `UNetConfig.classes`.
    student: a model that hears w and draws what ddpm draws, in one step, such as `load_checkpoint("student")` for the
    shipped ddpm. It draws while a control moves, and at rest if the switch says so. None: ddpm draws alone.
    reference: what `make_reference` returned for the same classes: its classifier reads the pictures. None: digits are
    read by the shipped classifier, and other classes by nobody.
    `state` holds the values of the controls; `picture` shows it as soon as `status` is empty. Raises ValueError.
    """

    def __init__(self, ddpm: DDPM, student: DDPM | None = None, reference: Reference | None = None):
        guards.denoiser("ddpm", ddpm)
        if reference is not None:
            guards.instance("reference", reference, Reference, "what make_reference returns, or None")
        kind = kind_of(ddpm, reference)
        say, K = kind.say, len(kind.names)
        if student is not None:
            guards.denoiser("student", student)
            of_student = kind_of(student)
            guards.choice("student's number of classes", len(of_student.names), (K,))
            guards.choice("student's classes", of_student.names, (kind.names,))
            guards.choice("student's image_shape", of_student.shape, (kind.shape,))
            guards.finite("student's w_max", getattr(student, "w_max", 0), above=0)
        T = ddpm.schedule.T
        self.ddpm, self.student, self.reference = ddpm, student, reference
        self.w = ipywidgets.FloatSlider(1.0, min=-1, max=8, step=0.05, description="w")
        classes = [(name, k) for k, name in enumerate(kind.names)]
        # The bracket is no letter: so whoever types a letter in the list gets to the class that begins with it.
        every = [("all ten" if kind.is_digits else f"(all {K})", -1)] if K > 1 else []
        self.view = ipywidgets.ToggleButtons(
            options=list(zip(say["views"], VIEWS, strict=True)),
            tooltips=list(say["views"].values()),
            description="view",
            style={"button_width": "auto"},
        )
        a_class = "digit" if kind.is_digits else "class"
        self.digit = ipywidgets.Dropdown(options=every + classes, description=a_class)
        self.seed = ipywidgets.BoundedIntText(0, min=0, max=2**31 - 1, description="seed")
        self.new_noise = ipywidgets.Button(description="new noise", icon="refresh", tooltip=SAY["words"]["new noise"])
        self.steps = ipywidgets.IntSlider(min(20, T), min=1, max=min(100, T), description="steps")
        self.distilled = ipywidgets.Checkbox(False, description="steps: 1 (distilled)", indent=False)
        self.distilled.layout.display = "none" if student is None else None
        self.sampler = ipywidgets.Dropdown(options=SAMPLERS, value="ddim", description="sampler")
        self.interval = ipywidgets.IntRangeSlider(value=(1, T), min=1, max=T, description="interval")
        self.t = ipywidgets.IntSlider(7 * T // 10, min=0, max=T, description="stop at t")
        self.first, self.second = _of_two(kind, "A", 3, 0), _of_two(kind, "B", 8, K - 1)
        self.share = ipywidgets.IntSlider(50, min=0, max=100, description="% of B")
        self.play = ipywidgets.Play(50, max=100, step=2, interval=100, description="play the morph")
        self.play.set_trait("repeat" if self.play.has_trait("repeat") else "_repeat", True)  # _repeat in ipywidgets 7
        ipywidgets.jslink((self.play, "value"), (self.share, "value"))
        self._words, self._kind = _words(kind, reference), kind
        controls = (self.w, self.digit, self.seed, self.sampler, self.steps, self.distilled, self.interval, self.t,
                    self.first, self.second, self.share)  # fmt: skip
        for control in controls:
            name = "tooltip" if control.has_trait("tooltip") else "description_tooltip"  # the latter in ipywidgets 7
            setattr(control, name, say["words"][control.description])

        self.picture = _Picture(format="png").add_class("guidance-lab-image")
        names = "readout", "caption", "status", "columns", "rows"
        self.readout, self.caption, self.status, self._columns, self._rows = map(_text, names)
        self._shown = _box("picture", ipywidgets.HTML(), self._columns, self._rows, self.picture)
        self._answer = _text("answer", "0")
        self._stop = _box("stop", self.t)
        self._mix = _box("mix", self.first, self.second, self.share, self.play)
        ticks = "".join(f'<span style="left: {(w + 1) / 9:.1%}">{say_number(w)}</span>' for w in FIXED_WEIGHTS)
        means = "".join(
            f"<dt>{typeset(word)}</dt><dd>{typeset(text)}</dd>" for word, text in (say["views"] | self._words).items()
        )
        super().__init__([
            ipywidgets.HTML(STYLE),
            *(_text(name, f'<p role="alert">{SAY[name]}</p>') for name in ("ended", "unheard")),
            self._answer,
            self.view,
            _box("w", self.w, _text("ticks", ticks), _text("hint", SAY["hints"]["w"])),
            _box("controls", self.digit, self.seed, self.new_noise, self.sampler),
            _box("steps", self.steps, self.distilled),
            _box("interval", self.interval, _text("hint", say["hints"]["interval"].format(T=T))),
            self._stop,
            self._mix,
            self.readout,
            self._shown,
            self.caption,
            _box("foot", _text("words", f"<details><summary>What the words mean</summary><dl>{means}</dl></details>"),
                 self.status),
        ])  # fmt: skip
        self.add_class("guidance-lab")
        self._news, self._wanted, self._working = threading.Condition(), None, False
        self._arrange()
        self._show(self.state)
        self.new_noise.on_click(lambda _: self.seed.set_trait("value", (self.seed.value + 1) % (self.seed.max + 1)))
        for control in (self.view, *controls):
            control.observe(self._changed, names="value")

    def __repr__(self) -> str:
        return "GuidanceLab: run this cell in JupyterLab, and drag w"  # a page without a kernel shows this

    @property
    def state(self) -> LabState:
        """The values of the controls now."""
        interval = None if self.interval.value == (1, self.interval.max) else self.interval.value
        digit = self.digit.value if self.digit.value >= 0 else None
        names = "view", "w", "seed", "steps", "sampler", "t", "first", "second"
        values = {name: getattr(self, name).value for name in names}
        distilled = self.distilled.value and self.view.value in ONE_STEP_VIEWS
        share = self.share.value / 100
        return LabState(**values, digit=digit, guidance_interval=interval, share=share, distilled=distilled)

    def _arrange(self) -> None:
        """Show the controls of the view. The callback's thread does it: the worker never touches a control."""
        self._stop.layout.display = None if self.view.value in ("film", "noise") else "none"
        self._mix.layout.display = None if self.view.value == "mix" else "none"
        self.digit.disabled = self.view.value == "mix"
        self.distilled.disabled = self.view.value not in ONE_STEP_VIEWS
        self.steps.disabled = self.sampler.disabled = self.interval.disabled = self.state.distilled

    def _changed(self, _change: dict) -> None:
        self._arrange()
        with self._news:
            self._wanted = self.state  # this replaces a state that still waits
            self._news.notify()
            if not self._working:
                threading.Thread(target=self._work, name="guidance lab", daemon=True).start()
                self._working = True  # the worker waits for this lock

    def _work(self) -> None:
        """Draw the wanted states until none is left. What fails on the way to the browser stops no later state."""
        while True:
            with self._news:
                state, self._wanted = self._wanted, None
                if state is None:
                    self._working = False
                    return
            try:
                self._draw(state)
            except BaseException:
                logging.getLogger(__name__).exception("The guidance lab could not show a picture.")
                with contextlib.suppress(BaseException):  # the browser may have missed any of these
                    for text in (self.readout, self.caption, self.status, self._columns, self._rows, self.picture):
                        text.send_state()

    def _draw(self, state: LabState) -> None:
        """A quick picture while new states keep coming, then the full one."""
        if not _is_quick(state):
            self._show(self._sketch(state), full=state)
            with self._news:
                if self._wanted is not None or self._news.wait(REST):
                    return
        self._show(state)

    def _sketch(self, state: LabState) -> LabState:
        """What is drawn while a control moves. A student was taught whole walks with one w, so it hears no interval."""
        if self.student is not None and state.view in ONE_STEP_VIEWS and state.guidance_interval is None:
            return replace(state, distilled=True)
        return replace(state, steps=COARSE_STEPS)

    def _show(self, state: LabState, full: LabState | None = None) -> None:
        """Draw and show a picture, or a sketch of `full`. A quick one is always finished: a long drag shows some."""

        def tick() -> None:
            if not _is_quick(state) and self._wanted is not None:
                raise _Superseded

        late = threading.Timer(PATIENCE, self._say_late)
        late.daemon = True
        late.start()
        message = "" if full is None else f"{state.steps} of {full.steps} steps; the rest follows…"
        if full is not None and state.distilled:
            message = f"the teacher's {full.steps} steps follow…"
        drawn_by = self.student if state.distilled else self.ddpm
        try:
            self._present(state, lab_picture(drawn_by, state, tick, self.reference))
        except _Superseded:
            message = self.status.value
        except Exception as error:  # the learner reads any error here; a thread's exception would be lost
            why = str(error) if isinstance(error, ValueError) else f"an error in the program, {error!r}"
            message = f'<span role="alert">⚠ There is no picture of this: {html.escape(why)}.</span>'
            self._shown.layout.display, self.caption.value, self.readout.value = "none", "", ""
        with self._news:
            late.cancel()
            self.status.value = message
        self._answer.value = str(int(self._answer.value) + 1)  # so that the browser knows that it was heard

    def _say_late(self) -> None:
        with self._news:
            if not threading.current_thread().finished.is_set():  # finished: cancelled while it waited
                self.status.value = "computing…"

    def _present(self, state: LabState, picture: LabPicture) -> None:
        height, width, _ = picture.pixels.shape
        zoom = min(630 / width, 600 / height)  # whole if it can be: then all pixels of a picture are as large
        fits = f"{(int(zoom) if zoom >= 2 else max(1, zoom)) * width:.0f}px"
        names = 8 * max(map(len, picture.rows), default=0)
        # cqw and vh: hundredths of the panel's width and of the window's height
        fits = f"min({fits}, 100cqw - {names}px, {width / height:.3f} * max(100vh - 500px, 270px))"
        self._columns.layout.width = self.picture.layout.width = fits
        self._columns.value, self._rows.value = (_spans(names) for names in (picture.columns, picture.rows))
        with self.picture.hold_sync():  # the browser sets the image again for each message
            self.picture.value = png(picture.pixels)
            self.picture.tooltip = FORMULA.sub(
                lambda x: x[1] + {"0": "₀", "t": "ₜ"}.get(x[2], f"_{x[2]}"), picture.caption
            )
        self._shown.layout.display = None
        unheard = state.distilled and state.w > self.student.w_max
        numbers = {
            "w": say_number(state.w) + (f" → {say_number(self.student.w_max)}" if unheard else ""),
            "scale 1 + w": say_number(1 + state.w),
            self._judged(state): html.escape(picture.agreement),
            "mean distance": picture.distance,
            "drawn by": self._who(state),
        }
        judge = "" if self.reference is None else f"<small>judge: {self.reference.accuracy:.1%}</small>"
        self.readout.value = "".join(
            f'<span title="{self._words.get(name, "")}">{name} <b>{value}</b>{judge * (name in READ)}</span>'
            for name, value in numbers.items()
        )
        self.caption.value = f'<p role="status" aria-live="polite">{typeset(picture.caption)}</p>'

    def _judged(self, state: LabState) -> str:
        """What the read-out says before the number of pictures that are read as asked."""
        if self._kind.judge is None:
            return NO_JUDGE
        return READ[state.view == "mix"]

    def _who(self, state: LabState) -> str:
        """The network that draws this state, and its steps."""
        teacher = "model" if self.student is None else "teacher"
        network, steps = ("student", 1) if state.distilled else (teacher, state.steps)
        return SAY["steps"][steps > 1].format(network=network, steps=steps)


class _Picture(ipywidgets.Image):
    """An Image with a text for people who can't see it: its tooltip, which becomes the title of the <img>. The front
    end uses the tooltip only if there is also a description, which may be empty."""

    description = traitlets.Unicode("").tag(sync=True)


def _of_two(kind: Kind, letter: str, digit: int, other: int) -> ipywidgets.Widget:
    """A control for one of the two classes of a mixture, and which it shows at first."""
    if kind.is_digits:
        return ipywidgets.IntSlider(digit, min=0, max=9, description=f"digit {letter}")
    names = [(name, k) for k, name in enumerate(kind.names)]  # a slider is for numbers, and has no place for one class
    return ipywidgets.Dropdown(options=names, value=other, description=f"class {letter}")


def _words(kind: Kind, reference: Reference | None) -> dict[str, str]:
    """What the words of the panel mean; of a judge it is said how good it is."""
    words = dict(kind.say["words"])
    if kind.judge is None:
        return {NO_JUDGE if word == "read as asked" else word: text for word, text in words.items()} | {
            NO_JUDGE: "make_reference(train_set, test_set) trains one: then GuidanceLab(ddpm, reference=reference)."
        }
    if reference is not None:
        words["read as asked"] += f" Of held-out pictures of these classes it reads {reference.accuracy:.1%} rightly."
    return words


def _is_quick(state: LabState) -> bool:
    """Whether the full picture comes so soon that it needs no sketch."""
    return state.distilled or state.steps <= COARSE_STEPS


def _text(name: str, value: str = "") -> ipywidgets.HTML:
    return ipywidgets.HTML(value).add_class(f"guidance-lab-{name}")


def _box(name: str, *children: ipywidgets.Widget) -> ipywidgets.Box:
    return ipywidgets.Box(children).add_class(f"guidance-lab-{name}")


def _spans(names: tuple[str, ...]) -> str:
    return "".join(f"<span>{typeset(name)}</span>" for name in names)


def typeset(text: str) -> str:
    """Text as HTML, with x_t, x_T and x̂_0 as formulas set them."""
    return FORMULA.sub(r"<i>\1</i><sub>\2</sub>", html.escape(text))
