"""Packages that the engine does without: where one is missing, the error names it and the line that installs it."""

from collections.abc import Iterator
from contextlib import contextmanager

from ddpm_lib.interrupts import undisturbed


@contextmanager
def needed_by(what: str, extra: str) -> Iterator[None]:
    """Wrap the import of a package that an extra of pyproject.toml brings.

    what: the public name that needs the package. extra: the extra's name, such as "data". ■ and Ctrl-C wait inside.
    Raises ImportError where the package is missing.
    """
    try:
        with undisturbed():
            yield
    except ModuleNotFoundError as error:
        package = (error.name or str(error)).partition(".")[0]
        message = f'{what} needs {package}, which is not installed: pip install "ddpm_lib[{extra}]"'
        raise ImportError(message, name=package) from error
