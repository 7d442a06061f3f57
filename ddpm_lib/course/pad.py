"""A pad for notebook 06: you draw, and the network finishes your drawing under a label.

The package ipycanvas brings the canvas. Where it is not installed, the pad shows the lines that it was given, and label
and time can still be changed.
"""

import importlib.util
from collections.abc import Callable, Sequence

import ipywidgets
import torch
from torch import Tensor

from ddpm_lib.course import redraw
from ddpm_lib.ddpm import DDPM
from ddpm_lib.editing import edit
from ddpm_lib.interrupts import undisturbed
from ddpm_lib.widgets import kind_of, png

SHOWN = 280  # width of both pictures on the screen


class Pad(ipywidgets.VBox):
    """Left your drawing, right what `edit` makes of it; below, the label, and the time it is noised to.

    lines: what is drawn at first, as in `redraw.drawing`. w: the guidance weight. seed: of the noise, always the same.
    """

    def __init__(self, ddpm: DDPM, lines: Sequence[Sequence[tuple[float, float]]] = (), w: float = 1.0, seed: int = 0):
        self.ddpm, self.w, self.seed = ddpm, w, seed
        self.lines = [list(line) for line in lines]
        kind = kind_of(ddpm)
        self.shape, names = kind.shape, [(name, k) for k, name in enumerate(kind.names)]
        self.label = ipywidgets.Dropdown(options=names, value=min(3, len(names) - 1), description="label")
        self.t = ipywidgets.IntSlider(300, 1, ddpm.schedule.T, description="time t", continuous_update=False)
        self.empty = ipywidgets.Button(description="empty the pad")
        self.drawn, self.finished = (ipywidgets.Image(width=SHOWN, height=SHOWN) for _ in range(2))
        self.canvas = self._canvas() if importlib.util.find_spec("ipycanvas") else None
        for control in (self.label, self.t):
            control.observe(lambda change: self.finish(), names="value")
        self.empty.on_click(self._clear)
        rows = [self.canvas or self.drawn, self.finished], [self.label, self.t, self.empty]
        # In a narrow window the parts of a row stand below each other.
        super().__init__([ipywidgets.HBox(row, layout={"flex_flow": "row wrap", "grid_gap": "8px"}) for row in rows])
        self.finish()

    def __repr__(self) -> str:
        return "Pad: run this cell in JupyterLab, and draw"  # a page without a kernel shows this

    def finish(self) -> None:
        """Let the network finish the drawing, and show it."""
        drawn, generator = redraw.drawing(self.lines, size=self.shape[1]), torch.Generator().manual_seed(self.seed)
        drawn = drawn.expand(1, *self.shape)  # a model of colours gets white lines
        x = edit(self.ddpm, drawn, [self.label.value], self.t.value, self.w, generator=generator)
        self.drawn.value, self.finished.value = _png(drawn), _png(x)

    def _canvas(self) -> ipywidgets.DOMWidget:
        with undisturbed():
            from ipycanvas import Canvas

        canvas = Canvas(width=SHOWN, height=SHOWN, layout=ipywidgets.Layout(width=f"{SHOWN}px", height=f"{SHOWN}px"))
        canvas.line_cap = canvas.line_join = "round"
        canvas.line_width = redraw.WIDTH * SHOWN / redraw.SIZE
        canvas.stroke_style = "white"
        self.pen_is_down = False
        canvas.on_mouse_down(self._begin)
        canvas.on_mouse_move(self._go_on)
        canvas.on_mouse_up(self._end)
        canvas.on_mouse_out(self._end)
        canvas.on_touch_start(self._of_the_first_finger(self._begin))
        canvas.on_touch_move(self._of_the_first_finger(self._go_on))
        canvas.on_touch_end(self._end)
        self._show_lines(canvas)
        return canvas

    def _show_lines(self, canvas: ipywidgets.DOMWidget) -> None:
        canvas.fill_style = "black"
        canvas.fill_rect(0, 0, SHOWN, SHOWN)
        for line in self.lines:
            canvas.stroke_lines([(x * SHOWN / redraw.SIZE, y * SHOWN / redraw.SIZE) for x, y in line])

    def _begin(self, x: float, y: float) -> None:
        self.pen_is_down = True
        self.lines.append([(x * redraw.SIZE / SHOWN, y * redraw.SIZE / SHOWN)])

    def _go_on(self, x: float, y: float) -> None:
        if self.pen_is_down:
            before = [place * SHOWN / redraw.SIZE for place in self.lines[-1][-1]]
            self.canvas.stroke_line(*before, x, y)
            self.lines[-1].append((x * redraw.SIZE / SHOWN, y * redraw.SIZE / SHOWN))

    def _end(self, *_: object) -> None:
        if self.pen_is_down:
            self.pen_is_down = False
            self.finish()

    @staticmethod
    def _of_the_first_finger(callback: Callable[[float, float], None]) -> Callable[[Sequence], None]:
        return lambda touches: callback(*touches[0]) if touches else None

    def _clear(self, _button: ipywidgets.Button) -> None:
        self.lines = []
        if self.canvas:
            self._show_lines(self.canvas)
        self.finish()


def _png(image: Tensor) -> bytes:
    """A picture (1, 1 or 3, H, W) in [0, 1] as PNG."""
    pixels, larger = (image[0].movedim(0, -1) * 255).round().byte(), SHOWN // image.shape[-1]
    pixels = pixels.repeat_interleave(larger, 0).repeat_interleave(larger, 1).numpy()
    return png(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
