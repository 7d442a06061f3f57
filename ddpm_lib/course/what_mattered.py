"""The table of `make variants` for notebook 08: the scores of each variant of the recipe, as text and as a figure."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ddpm_lib.course import plots
from ddpm_lib.course.tables import WHAT_MATTERED, read_table

COLUMNS = (("FID", "fid", 0), ("FID", "fid", 1), ("agreement", "agreement", 0), ("coverage", "coverage", 1))


class VariantTable:
    """Its text has the lowest and the highest seed of each score."""

    def __init__(self, path: str | Path | None = None, names: Sequence[str] | None = None):
        """path: of a table that `make variants` wrote; None is the shipped one. names: its variants; None is all."""
        self.rows = read_table(path or WHAT_MATTERED)
        self.names = names or list(dict.fromkeys(row["variant"] for row in self.rows))

    def values(self, name: str, score: str | Callable[[dict], float], w: float) -> list[float]:
        """A score of a variant at w, one for each seed. score: a column, or a function of a row."""
        rows = [row for row in self.rows if row["variant"] == name and row["w"] == w]
        return [score(row) if callable(score) else row[score] for row in rows]

    def __repr__(self) -> str:
        first = self.rows[0]
        head = (
            f"{first['train_steps']:,.0f} training steps; FID of {first['n']:,.0f} real digits {first['fid_floor']:.2f}"
        )
        lines = [head, " " * 21 + "".join(f"{f'{title}, w = {w}':>17}" for title, _, w in COLUMNS)]
        for name in self.names:
            bands = [self.values(name, score, w) for _, score, w in COLUMNS]
            lines.append(f"{name:<21}" + "".join(f"{f'{min(band):.2f} … {max(band):.2f}':>17}" for band in bands))
        return "\n".join(lines)

    def figure(self) -> Figure:
        """FID and agreement at w = 0, and how near a digit at w = 1 is to a training digit: a dot for each seed."""

        def panel(score: str | Callable[[dict], float], w: float) -> dict[str, list[float]]:
            return {name: self.values(name, score, w) for name in self.names}

        fid, nearest = "FID at w = 0", "nearest training digit"
        return plots.dots(
            {
                fid: panel("fid", 0),
                "agreement at w = 0": panel("agreement", 0),
                nearest: panel(lambda row: row["nearest_median"] / row["nearest_floor"], 1),
            },
            references={fid: (self.rows[0]["fid_floor"], "real"), nearest: (1, "held-out digits")},
            log_x={fid},
        )
