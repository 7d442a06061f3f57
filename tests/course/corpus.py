"""The corpus of answers, for test_answers.py and test_mistakes.py, which run at the same time.

answers/ has a file for each notebook: RIGHT[name] is a list of functions, WRONG[name] of pairs of a function and the
words that its verdict must hold (None: the answer must be rejected, and no mistake named).
"""

import importlib.util
import os
from pathlib import Path

import torch

from ddpm_lib.course import checks

SEEDS = range(int(os.environ.get("DDPM_SEEDS", 2)))  # make stress tries more
FILES = sorted((Path(__file__).parent / "answers").glob("*.py"))


def answers(path):
    spec = importlib.util.spec_from_file_location(f"answers_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def verdicts(name, attempt):
    with torch.random.fork_rng():
        for seed in SEEDS:
            torch.manual_seed(seed)
            yield getattr(checks, name)(attempt)
