"""The table of `make sweep` as notebook 08 reads it: the runs at each guidance weight, their band, and real digits.

A band reaches from the lowest to the highest of several seeds. Where there is one seed only, its 95 % bootstrap
interval stands in, if the table has one for this score.
"""

from collections import Counter
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_lib.course.tables import W_SWEEP, read_table


class Setting(NamedTuple):
    """How the digits of a run were drawn; n: how many."""

    sampler: str
    steps: int
    n: int

    def __str__(self) -> str:
        return f"{self.sampler}, {self.steps} steps"


class SweepTable:
    """Scores over w. `main` is the setting with the most runs, which all methods use unless told otherwise."""

    def __init__(self, path: str | Path | None = None):
        """path: of a table that `make sweep` wrote; None is the shipped one. Raises ValueError without real digits."""
        self.rows = read_table(path or W_SWEEP)
        drawn = [row for row in self.rows if row["sampler"] != "real"]
        counts = Counter(_setting(row) for row in drawn)
        self.settings = [setting for setting, _ in counts.most_common()]
        self.main = self.settings[0]
        self.real_rows = [row for row in self.rows if row["sampler"] == "real" and row["n"] == self.main.n]
        if not self.real_rows:
            raise ValueError("the table has no runs of real digits; `make sweep` writes them")

    def __repr__(self) -> str:
        lines = []
        for setting in self.settings:
            seeds = len(self.runs(0, setting))
            weights = f"{len(self.weights(setting))} weights × {seeds} seed{'s' * (seeds > 1)}"
            lines.append(f"{setting}: {weights}, {setting.n:,} digits a run")
        lines.append(f"real digits, as many, in the same equal shares: {len(self.real_rows)} seeds")
        networks, codes = ({str(row[name]) for row in self.rows if row[name]} for name in ("checkpoint", "commit"))
        return "\n".join([*lines, f"network: {', '.join(sorted(networks))}; code: {', '.join(sorted(codes))}"])

    def weights(self, setting: Setting | None = None, least: float = -1) -> list[float]:
        """The guidance weights ≥ least, rising."""
        setting = setting or self.main
        found = {row["w"] for row in self.rows if row["w"] is not None and _setting(row) == setting}
        return sorted(w for w in found if w >= least)

    def runs(self, w: float, setting: Setting | None = None) -> list[dict]:
        """The rows at the weight that is nearest to w, one for each seed."""
        setting = setting or self.main
        nearest = min(self.weights(setting), key=lambda other: abs(other - w))
        return [row for row in self.rows if row["w"] == nearest and _setting(row) == setting]

    def ends(self, name: str, w: float, setting: Setting | None = None) -> list[float]:
        """What a band is made of: a score for each seed; or of one seed, the ends of its bootstrap interval."""
        runs = self.runs(w, setting)
        if len(runs) == 1 and f"{name}_low" in runs[0]:
            return [runs[0][f"{name}_low"], runs[0][f"{name}_high"]]
        return [row[name] for row in runs]

    def scores(self, name: str, setting: Setting | None = None, least: float = 0) -> tuple[Tensor, Tensor]:
        """The weights ≥ least, (W,) rising, and their scores (W, S), a column for each seed; both float64."""
        weights = self.weights(setting, least)
        found = [self.ends(name, w, setting) for w in weights]
        seeds = min(map(len, found))
        return torch.tensor(weights, dtype=torch.float64), torch.tensor([row[:seeds] for row in found]).double()

    def band(self, name: str, setting: Setting | None = None, least: float = 0) -> tuple[list, list, list]:
        """Mean, lowest and highest of a score at each weight ≥ least."""
        found = [self.ends(name, w, setting) for w in self.weights(setting, least)]
        return tuple([f(ends) for ends in found] for f in (fmean, min, max))

    def real(self, name: str) -> float:
        """What as many real digits score, in equal shares: the mean over their seeds."""
        return fmean(row[name] for row in self.real_rows)

    def changes(self, names: dict[str, str], weights: tuple[float, ...]) -> str:
        """A text: for each title → score the band at some weights, and how it goes from one to the next."""
        weights = [self.runs(w)[0]["w"] for w in weights]
        lines = [f"{'':<16}{'real':>7}" + f"{'':>11}".join(f"{f'w = {w:g}':>15}" for w in weights)]
        for title, name in names.items():
            line, before = f"{title:<16}{self.real(name):>7.3f}", None
            for w in weights:
                low, high = min(self.ends(name, w)), max(self.ends(name, w))
                line += "" if before is None else f"{change(before, (low, high)):>11}"
                line += f"{f'{low:.3f} … {high:.3f}':>15}"
                before = low, high
            lines.append(line)
        return "\n".join(lines)


def _setting(row: dict) -> Setting:
    return Setting(row["sampler"], int(row["steps"] or 0), int(row["n"]))


def change(before: tuple[float, float], after: tuple[float, float]) -> str:
    """Whether a band (lowest, highest) lies above or below another, or overlaps with it."""
    if after[0] > before[1]:
        return "rises"
    return "falls" if after[1] < before[0] else "can't tell"


def choose_w(w: Tensor, scores: Tensor, floor: float) -> float:
    """The smallest w that can't be told from the best, where nothing counts as better than real digits.

    w: (W,) rising. scores: (W, S), less is better. floor: the score of real digits.
    """
    counted = scores.clamp(min=floor)
    best = counted[counted.mean(dim=1).argmin()]
    close = counted.amin(dim=1) <= best.max()
    return w[close].min().item()


def fid_at_infinity(n: Tensor, fid: Tensor) -> float:
    """Where the straight line through FID over 1/n, by least squares, meets 1/n = 0. n, fid: (N,)."""
    powers = torch.stack([torch.ones_like(n), 1 / n], dim=1)
    return torch.linalg.lstsq(powers, fid[:, None]).solution[0, 0].item()
