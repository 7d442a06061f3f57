"""Checks of notebook 02, The U-Net."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_lib.checkpoint import load_checkpoint
from ddpm_lib.course.exercise import Verdict, check, judge
from ddpm_lib.unet import UNet, UNetConfig


def joined(*parts: Tensor) -> Tensor:
    """Features (B, C, 7, 7) and embeddings (B, E) as channels, in any order; embeddings stand at all 49 positions."""
    return torch.cat([e if e.ndim == 4 else e[:, :, None, None].expand(-1, -1, 7, 7) for e in parts], dim=1)


@check
def resize_and_concatenate(attempt: Callable) -> Verdict:
    """attempt(features (B, C, 7, 7), t_embedding (B, E), y_embedding (B, E)) → (B, C + 2E, 7, 7)."""

    def resized(e):
        return e[:, :, None, None].expand(-1, -1, 7, 7)

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


class Layers(UNet):
    """A U-Net whose layers are there, but not its forward; `join` puts features, t and y together."""

    join = staticmethod(joined)

    def forward(self, *inputs: Tensor) -> Tensor:
        raise NotImplementedError("this network has no forward yet: call its layers, one after the other")


def lively(unet: UNet, change: float = 0.5) -> UNet:
    """Fresh weights, made such that t and y matter: between 10 times and digits, pixels differ by at most `change`."""
    t, y = torch.linspace(0.1, 1, 10), torch.eye(10)
    with torch.no_grad():
        for norm in unet.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.momentum = 1.0  # the statistics are those of the next batch
        UNet.forward(unet.train(), torch.randn(10, 1, 28, 28), t, y[torch.randperm(10)])
        out = UNet.forward(unet.eval(), torch.zeros(10, 1, 28, 28), t, y)
        for parameter in unet.head.parameters():
            parameter *= change / (out.amax(dim=0) - out.amin(dim=0)).max()
    return unet.requires_grad_(False)


@check
def unet_forward(attempt: Callable) -> Verdict:
    """attempt(self, x_t (B, 1, 28, 28), t_over_T (B,), y (B, 10)) → (B, 1, 28, 28); self: the layers of a `UNet`."""

    def wired(
        t_of: Callable = lambda t: t,
        y_of: Callable = lambda y: y,
        told: Callable = lambda h, t, y: (h, t, y),
        up: Callable = lambda h: h,
        at_14: Callable = lambda up, skip: (up, skip),
        at_28: Callable = lambda up, skip: (up, skip),
        end: Callable = lambda out, x_t: out,
    ) -> Callable:
        """The right forward, or a mistake in one place."""

        def forward(self, x_t, t, y):
            h_28 = self.encoder_28(x_t)
            h_14 = self.encoder_14(h_28)
            h = self.encoder_7(h_14)
            h = self.bottleneck(joined(*told(h, self.time_mlp(t_of(t)[:, None]), self.label_mlp(y_of(y)))))
            h = self.decoder_14(torch.cat(at_14(up(self.up_14(h)), h_14), dim=1))
            h = self.decoder_28(torch.cat(at_28(up(self.up_28(h)), h_28), dim=1))
            return end(self.head(h), x_t)

        return forward

    def at(pair: Callable, where: str = "both") -> Callable:
        return wired(**{place: pair for place in ("at_14", "at_28") if where in ("both", place)})

    def crossed(up, skip):
        return skip, up

    def cut(up, skip):
        return up, torch.zeros_like(skip)

    def doubled(up, skip):
        return up, up

    def skip_alone(up, skip):
        return skip, skip

    order = "what comes from below comes first, then the skip connection: [up, skip]"
    no_skip = "a skip connection is missing: what the encoder made of this size belongs into the decoder, too"
    mistakes = [
        *((at(crossed, where), order) for where in ("both", "at_14", "at_28")),
        *((at(pair, where), no_skip) for pair in (cut, doubled) for where in ("both", "at_14", "at_28")),
        (at(skip_alone), "you join the skip connection twice: what up_14 and up_28 make never arrives"),
        (wired(told=lambda h, t, y: (h, y, t)), "t and y are swapped: features first, then t, then y"),
        (wired(told=lambda h, t, y: (h, t, t)), "you joined t twice; y never arrives"),
        (wired(told=lambda h, t, y: (h, y, y)), "you joined y twice; t never arrives"),
        (wired(told=lambda h, t, y: (t, y, h)), "features belong first: [features, t, y]"),
        (wired(y_of=torch.zeros_like), "your network is deaf to y: label_mlp gets zeros, whatever the label"),
        (wired(t_of=torch.zeros_like), "your network is deaf to t: time_mlp gets zeros, whatever the time"),
        (wired(t_of=lambda t: t[:1].expand_as(t)), "every picture is told the time of the first picture"),
        (wired(y_of=lambda y: y[:1].expand_as(y)), "every picture is told the label of the first picture"),
        (
            wired(y_of=lambda y: F.one_hot(y.argmax(dim=1), 10).to(y)),
            "a row of zeros and a mixture became single digits: hand the rows to label_mlp as they are",
        ),
        (
            wired(end=lambda out, x_t: out.relu()),
            "a relu after the head: the answer must be able to be negative, as noise is",
        ),
        (wired(end=lambda out, x_t: out.tanh()), "a tanh after the head: what the head gives is the answer"),
        (wired(end=lambda out, x_t: x_t + out), "you add x_t at the end: what the head gives is the answer"),
        (wired(end=lambda out, x_t: x_t - out), "you take the answer from x_t: what the head gives is the answer"),
        (wired(up=lambda h: h.relu()), "a relu after up_14 or up_28: they stand alone, the next block has its own"),
        (
            lambda self, x_t, t, y: self.head(self.encoder_28(x_t)),
            "you go straight from encoder_28 to the head: the way down and up again is missing",
        ),
    ]

    def case(name: str, unet: UNet, batch: int, rows: Tensor | None = None) -> tuple:
        rows = torch.eye(10)[torch.randint(10, (batch,))] if rows is None else rows
        return name, unet, torch.randn(batch, 1, 28, 28), torch.rand(batch) * 0.9 + 0.1, rows

    def layers(*sizes) -> UNet:
        return lively(Layers(UNetConfig(*sizes)))

    trained = load_checkpoint().unet
    shipped = Layers(trained.config)
    shipped.requires_grad_(False).load_state_dict(trained.state_dict())
    mixed = torch.stack([torch.zeros(10), torch.ones(10) / 10, *torch.eye(10)[[0, 7]]])
    cases = [
        case("on random inputs", layers(), 4),
        case("in other widths", layers((5, 7, 6), 3), 3),
        case("for a batch of 1", layers((4, 4, 4), 4), 1),
        case("for mixtures and no label", layers((6, 5, 4), 6), 4, mixed),
        case("with the shipped weights", shipped.eval(), 10, torch.eye(10)),
    ]
    return judge(attempt, wired(), mistakes, cases, rtol=1e-3)


class Tried(nn.Module):
    """A network for a learner's test: a `UNet` that hears what `change` makes of t and y.

    hears: (t, y), whether it listens to them. sort: what is special about it, for the mistakes.
    """

    def __init__(self, unet: UNet, hears: tuple[bool, bool], sort: str = "", change: Callable = lambda t, y: (t, y)):
        super().__init__()
        self.unet, self.hears, self.sort, self.change = unet.eval(), hears, sort, change

    def forward(self, x_t: Tensor, t_over_T: Tensor, y: Tensor) -> Tensor:
        t_over_T, y = self.change(t_over_T, y)
        out = torch.cat([self.unet(*one) for one in zip(x_t.split(1), t_over_T.split(1), y.split(1), strict=True)])
        if self.sort == "framed":  # the rim of a digit is always black
            out = F.pad(out[..., 2:-2, 2:-2], (2, 2, 2, 2))
        # Two pictures of one batch may differ in their last bits on some machines, so here they do on all.
        return out * (1 + 1.2e-7 * (torch.arange(len(out)) > 0)).view(-1, 1, 1, 1)


@check
def listens(attempt: Callable) -> Verdict:
    """attempt(network) → (listens to t, listens to y), two booleans; it calls network(x_t, t_over_T, y)."""

    def says(answer: Callable) -> Callable:
        """The mistake of a test that says answer(t, y) of a network that hears t and y."""
        return lambda network: torch.as_tensor(answer(*network.hears))

    def except_for(sort: str, answer: Callable) -> Callable:
        """The mistake of a test that is right but for one sort of networks."""
        return lambda network: torch.as_tensor(answer(*network.hears) if network.sort == sort else network.hears)

    one = "return two answers, (listens to t, listens to y), not one"
    of_t = "your test says of no network that it listens to t: are the two times different?"
    of_y = "your test says of no network that it listens to y: are the two labels different?"
    mistakes = [
        (says(lambda t, y: (y, t)), "the two answers are swapped: t first, then y"),
        (says(lambda t, y: (not t, not y)), "upside down: it listens where the two outputs differ"),
        (
            says(lambda t, y: (t or y, t or y)),
            "you change t and y together: then you can't tell which of them it hears",
        ),
        (says(lambda t, y: (t and y, t and y)), "you say yes only to networks that hear both: answer for t and for y"),
        (
            says(lambda t, y: (True, True)),
            "your test says yes to every network, also to deaf ones: is the picture the same in both calls, and do you "
            "compare values, but not to the last bit?",
        ),
        (
            says(lambda t, y: (False, False)),
            "your test says of no network that it listens, neither to t nor to y: do you compare values, and are "
            "the inputs different?",
        ),
        (says(lambda t, y: (False, y)), of_t),
        (says(lambda t, y: (t, False)), of_y),
        (says(lambda t, y: (t, True)), "you say of every network that it hears y: is the picture another one, too?"),
        (says(lambda t, y: (True, y)), "you say of every network that it hears t: is the picture another one, too?"),
        (says(lambda t, y: (t, t or y)), "while you try y, t is changed, too: change one thing only"),
        (says(lambda t, y: (t or y, y)), "while you try t, y is changed, too: change one thing only"),
        (says(lambda t, y: (t, t)), "that is the answer for t twice; the second one is about y"),
        (says(lambda t, y: (y, y)), "that is the answer for y twice; the first one is about t"),
        (
            except_for("presence", lambda t, y: (t, True)),
            "one network hears that there is a label, but not which: compare two digits, not a digit and no label",
        ),
        (
            except_for("whisper", lambda t, y: (False, False)),
            "your test is too coarse: it misses the small differences of a network that whispers",
        ),
        (
            except_for("framed", lambda t, y: (False, False)),
            "you ask whether every pixel differs: a network listens if any pixel does",
        ),
        *((says(answer), one) for answer in (lambda t, y: t, lambda t, y: y, min, max)),
    ]

    loud, soft = (lively(UNet(UNetConfig((4, 8, 32), 32)), change) for change in (0.2, 6e-5))

    def fresh(hears: tuple[bool, bool], sort: str = "", change: Callable = lambda t, y: (t, y)) -> Tried:
        return Tried(soft if sort == "whisper" else loud, hears, sort, change)

    one_digit = torch.eye(10)[int(torch.randint(10, ()))]
    both, only_t, only_y, nothing = (True, True), (True, False), (False, True), (False, False)
    cases = [
        ("for the shipped network", Tried(load_checkpoint().unet.requires_grad_(False), both)),
        ("for a network that listens to both", fresh(both)),
        ("for one that whispers", fresh(both, "whisper")),
        ("for one whose rim is always black", fresh(both, "framed")),
        ("for one that is deaf to y", fresh(only_t, change=lambda t, y: (t, 0 * y))),
        ("for one that is deaf to t", fresh(only_y, change=lambda t, y: (0 * t, y))),
        ("for one that is deaf to both", fresh(nothing, change=lambda t, y: (0.5 + 0 * t, 0 * y + 0.1))),
        ("for one that takes every digit for the same", fresh(only_t, change=lambda t, y: (t, 0 * y + one_digit))),
        ("for one that hears t in the place of y", fresh(only_t, change=lambda t, y: (t, t[:, None].expand(-1, 10)))),
        ("for one that hears y in the place of t", fresh(only_y, change=lambda t, y: (y @ torch.arange(10.0) / 10, y))),
        (
            "for one that hears that there is a label, but not which",
            fresh(only_t, "presence", lambda t, y: (t, y.sum(dim=1, keepdim=True).expand(-1, 10) / 10)),
        ),
    ]
    return judge(attempt, lambda network: torch.tensor(network.hears), mistakes, cases)
