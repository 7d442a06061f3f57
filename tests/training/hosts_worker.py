"""The command line of training, as test_hosts.py starts it: a tiny network, and a snapshot at every fifth step."""

import datetime
import sys
import time

from ddpm_lib import DDPM, NoiseSchedule, UNet, UNetConfig, training
from ddpm_lib.training import __main__ as command
from ddpm_lib.training import distributed


def slowly(*arguments, train=training.train, **options):
    for record in train(*arguments, **options):
        time.sleep(0.05)
        yield record


if __name__ == "__main__":
    DDPM.recommended = lambda: DDPM(UNet(UNetConfig(widths=(4, 8, 8), embedding_width=8)), NoiseSchedule.cosine(20))
    command.train = slowly
    training.EVERY = 5
    distributed.TIMEOUT = datetime.timedelta(seconds=10)
    command.main([*sys.argv[1:], "--batch-size", "8", "--data", "embedded"])
