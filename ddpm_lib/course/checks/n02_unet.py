"""Checks of notebook 02, The U-Net."""

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_lib.course.exercise import Verdict, check, judge


@check
def resize_and_concatenate(attempt: Callable) -> Verdict:
    """attempt(features (B, C, 7, 7), t_embedding (B, E), y_embedding (B, E)) → (B, C + 2E, 7, 7)."""

    def resized(e):
        return e[:, :, None, None].expand(-1, -1, 7, 7)

    def joined(*parts):
        """The parts as channels, resized where they are embeddings."""
        return torch.cat([part if part.ndim == 4 else resized(part) for part in parts], dim=1)

    def both(change: Callable) -> Callable:
        """The mistake that does this with both embeddings."""
        return lambda h, t, y: joined(h, change(t), change(y))

    def at(row, column):
        """Puts an embedding at one position."""
        place = torch.zeros(7, 7)
        place[row, column] = 1
        return lambda e: resized(e) * place

    first = "features belong first: [features, t, y]"
    one_place = "the embeddings stand at one position only; they belong at all 49"
    mistakes = [
        (lambda h, t, y: joined(h, y, t), "t and y are swapped: features first, then t, then y"),
        (lambda h, t, y: joined(t, y, h), first),
        (lambda h, t, y: joined(y, t, h), first),
        (lambda h, t, y: joined(t, h, y), first),
        (lambda h, t, y: joined(h, t, t), "you joined t twice; y never arrives"),
        (lambda h, t, y: joined(h, y, y), "you joined y twice; t never arrives"),
        (lambda h, t, y: joined(h, t), "y is missing: join features, t and y"),
        (lambda h, t, y: joined(h, y), "t is missing: join features, t and y"),
        (lambda h, t, y: joined(t, y), "the features are missing: join features, t and y"),
        (lambda h, t, y: joined(h, t + y), "you add t and y: each needs channels of its own"),
        (
            both(lambda e: e.repeat(1, 49).view(len(e), -1, 7, 7)),
            "your view mixes the channels: after repeat(1, 49) the numbers of one position lie side by side, not "
            "those of one channel",
        ),
        (both(at(0, 0)), one_place),
        (both(at(3, 3)), one_place),
        (both(lambda e: e / 49), "you divide by 49: each position gets the whole vector, not a share of it"),
        (both(lambda e: e[:1].expand_as(e)), "every picture gets the embeddings of the first picture"),
        (both(lambda e: e.mean(0, keepdim=True).expand_as(e)), "you take the mean over the pictures of the batch"),
        (both(lambda e: e.mean(1, keepdim=True).expand_as(e)), "you take the mean over the channels of an embedding"),
    ]

    def case(name: str, batch: int, channels: int, embedding: int) -> tuple:
        return name, torch.randn(batch, channels, 7, 7), torch.randn(batch, embedding), torch.randn(batch, embedding)

    cases = [
        case("on random inputs", 4, 5, 3),
        case("in the notebook's sizes", 3, 64, 64),
        case("for a batch of 1", 1, 6, 4),
        case("where all sizes are 7", 7, 7, 7),
        case("for embeddings wider than the features", 2, 3, 8),
    ]
    return judge(attempt, joined, mistakes, cases)


@check
def conv_parameters(attempt: Callable) -> Verdict:
    """attempt(channels_in, channels_out, kernel) → number of parameters of a convolution with bias."""
    places = "you count a kernel at each of the 784 positions: all positions share one"
    forgot_in = "every output channel has its own kernel for every input channel: channels_in is missing"
    mistakes = [
        (lambda i, o, k: i * o * k * k, "you forgot the biases: one number for each output channel"),
        (lambda i, o, k: i * o * k * k + 1, "that is one bias for all: each output channel has its own"),
        (
            lambda i, o, k: i * o * k * k + i,
            "that is a bias for each input channel: the bias has one number for each output channel, not input channel",
        ),
        (
            lambda i, o, k: i * o * (k * k + 1),
            "that is a bias for each kernel; an output channel sums all its kernels first",
        ),
        (lambda i, o, k: i * o * k + o, "a kernel has kernel × kernel entries: it is a square"),
        (lambda i, o, k: i * o * 2 * k + o, "2k is no k²: a kernel has kernel × kernel entries"),
        (lambda i, o, k: i * o * 2**k + o, "2 to the power of k is no k²: write kernel**2"),
        (lambda i, o, k: i * o * (k ^ 2) + o, "`^` is Python's exclusive or: write kernel**2"),
        (lambda i, o, k: i * o * k**3 + o, "you took k³: a kernel is a square of kernel × kernel entries"),
        (lambda i, o, k: i * o * 9 + o, "you took 3 × 3 for every kernel: its size comes in as `kernel`"),
        (lambda i, o, k: o * k * k + o, forgot_in),
        (lambda i, o, k: o * k * k, f"{forgot_in}, and so are the biases"),
        (lambda i, o, k: i * k * k + 1, "that is one output channel: there are channels_out of them"),
        (
            lambda i, o, k: (i + o) * k * k + o,
            "you add the channels: each output channel has a kernel for each input, in × out",
        ),
        (lambda i, o, k: i * o * k * k * 784, places),
        (lambda i, o, k: (i * o * k * k + o) * 784, places),
    ]
    i, o = (torch.randperm(14)[:2] + 3).tolist()
    cases = [
        ("on random inputs", i, o, 3),
        ("for a 5 × 5 kernel", o, i, 5),
        ("for a 1 × 1 kernel", i, o, 1),
        ("for a 2 × 2 kernel", 64, 32, 2),
        ("for one input channel", 1, 16, 3),
        ("for as many channels in as out", 32, 32, 7),
    ]
    return judge(attempt, lambda i, o, k: i * o * k * k + o, mistakes, cases)


@check
def label_rows(attempt: Callable) -> Verdict:
    """attempt(labels) → rows (B, 10), one for each label. labels: list of digits, and of None for "no label"."""

    def rows(labels: list[int | None], null: Tensor = torch.zeros(10)) -> Tensor:
        return torch.stack([null if label is None else torch.eye(10)[label] for label in labels])

    def alone(labels: list[int | None]) -> Tensor:
        """All rows zero but the first."""
        return torch.cat([rows(labels[:1]), torch.zeros(len(labels) - 1, 10)])

    def known(labels: list[int | None]) -> list[int]:
        return [label for label in labels if label is not None]

    def below(labels: list[int | None]) -> Tensor:
        return rows([label if label is None else (label - 1) % 10 for label in labels])

    one_for_all = "that is one row for all labels together: each label needs a row of its own"
    mistakes = [
        (
            lambda labels: rows(labels, torch.eye(10)[0]),
            "label 0 and no label look the same: the row of the digit 0 has a 1 in the first place",
        ),
        (
            lambda labels: rows([label or None for label in labels]),
            "the digit 0 lost its label: `if label` is false for 0 too, ask `label is None`",
        ),
        (
            lambda labels: rows(labels, torch.eye(10)[9]),
            "no label became the digit 9: as an index, −1 counts from the end",
        ),
        (
            lambda labels: rows(labels, torch.full((10,), 0.1)),
            "a row of equal shares asks for all digits at once; no label asks for none",
        ),
        (
            lambda labels: rows(labels, torch.ones(10)),
            "a row of ones is the sum of all ten labels; no label is a row of zeros",
        ),
        (
            lambda labels: torch.eye(11)[[10 if label is None else label for label in labels]],
            "that is an eleventh class, and the network has ten inputs for y",
        ),
        (
            lambda labels: rows(known(labels)),
            "you leave out pictures without a label: they have no row, but every picture needs one, theirs is zero",
        ),
        (
            lambda labels: rows(labels)[:, : max([*known(labels), 0]) + 1],
            "your rows are as wide as the largest digit: there must be ten columns in any case (num_classes)",
        ),
        (lambda labels: rows(labels).amax(0), one_for_all),
        (lambda labels: rows(labels).sum(0), one_for_all),
        (lambda labels: rows(labels).amax(0, keepdim=True), one_for_all),
        (
            lambda labels: rows(labels).amax(0).expand(len(labels), -1),
            "all labels write into the same row: `[row] * B` is B times one and the same list",
        ),
        (alone, "only the first label arrives: does `return` stand inside the loop?"),
        (lambda labels: rows(labels).T, "rows and columns are swapped: one row for each label, (B, 10)"),
        (below, "the 1 stands one place too far left: you label the digit below (the digit 0 has place 0)"),
        (lambda labels: 0 * rows(labels), "all rows are zero: the row of a digit has a 1 in its place"),
        (
            lambda labels: [0 if label is None else label for label in labels],
            "those are the numbers themselves: each becomes a row of ten",
        ),
        (lambda labels: rows([3, None, 0]), "that is the example's answer, whatever the labels are"),
    ]

    mixed = [*range(10), None, None, None]
    cases = [
        ("on random labels", [mixed[i] for i in torch.randperm(len(mixed)).tolist()]),
        ("for the text's example", [3, None, 0]),
        ("without a 9", [5, None, int(torch.randint(6, ()))]),
        ("for repeated digits", [7, 7, None, 7, 0, 0]),
        ("for a batch of 1", [int(torch.randint(9, ()))]),
        ("where no label is missing", list(range(10))),
    ]
    return judge(attempt, rows, mistakes, cases)
