"""A guess before the answer: radio buttons that ask a learner what a picture will show."""

import html

import ipywidgets

STYLE = """<style>
.guess { border-left: 3px solid var(--jp-brand-color1); padding: 2px 0 2px 14px; margin: 2px 0 6px;
  overflow: hidden; }
.guess .widget-radio { width: auto; height: auto; }
.guess .widget-radio-box { width: auto; max-width: 640px; margin: 0; }
.guess .widget-radio-box label { height: auto; line-height: 1.6; padding: 1px 0; white-space: normal;
  cursor: pointer; }
.guess > .widget-html:first-child { display: none; }
.guess-echo .widget-html-content { color: var(--jp-ui-font-color2); }
.guess-echo p { margin: 0; }
</style>"""


class Guess(ipywidgets.VBox):
    """See `guess`."""

    def __init__(self, options: tuple[str, ...]):
        if len(options) < 2 or not all(isinstance(option, str) and option for option in options):
            raise ValueError(f"guess takes two or more texts to choose from, got {options!r:.60}")
        self.choice = ipywidgets.RadioButtons(options=options, value=None)
        self.echo = ipywidgets.HTML().add_class("guess-echo")
        super().__init__([ipywidgets.HTML(STYLE), self.choice, self.echo])
        self.add_class("guess")
        self.choice.observe(self._say, names="value")
        self._say()

    def __repr__(self) -> str:
        return "\n".join(f"○ {option}" for option in self.choice.options)  # a page without a kernel shows this

    def _repr_mimebundle_(self, **kwargs: object) -> dict:
        return super()._repr_mimebundle_(**kwargs) | {"text/plain": repr(self)}  # ipywidgets cuts it at 110 letters

    def _say(self, _change: dict | None = None) -> None:
        said = self.choice.value
        text = f"You say: <b>{html.escape(said)}</b>. Run on, look, then unfold the answer." if said else "Choose one."
        self.echo.value = f'<p role="status" aria-live="polite">{text}</p>'


def guess(*options: str) -> Guess:
    """Radio buttons on which a learner chooses a guess before a picture shows the answer.

    options: two or more texts. Nothing is scored or kept; the answer stands folded below the picture.
    Raises ValueError.
    """
    return Guess(options)
