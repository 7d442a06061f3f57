"""What only the notebooks of the course need: checks of the exercises, figures, guesses, tables."""

from ddpm_lib.extras import needed_by

with needed_by("ddpm_lib.course", "course"):
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401
    import numpy.random  # noqa: F401

from ddpm_lib.course.record import forget_progress, progress

__all__ = ["forget_progress", "progress"]
