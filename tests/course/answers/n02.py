"""Answers to the exercises of notebook 02, written from their text; see n04.py."""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ddpm_lib import UNet


def maps(e):
    return e[:, :, None, None].expand(-1, -1, 7, 7)


def filled_by_loops(features, t, y):
    batch, channels = features.shape[:2]
    out = torch.zeros(batch, channels + 2 * t.shape[1], 7, 7)
    out[:, :channels] = features
    for i in range(t.shape[1]):
        for row in range(7):
            for column in range(7):
                out[:, channels + i, row, column] = t[:, i]
                out[:, channels + t.shape[1] + i, row, column] = y[:, i]
    return out


def in_numpy(features, t, y):
    both = np.concatenate([t.numpy(), y.numpy()], axis=1)
    return np.concatenate([features.numpy(), np.tile(both[:, :, None, None], (1, 1, 7, 7))], axis=1)


def unsqueezed_in_place(features, t, y):
    for e in (t, y):
        e.unsqueeze_(-1).unsqueeze_(-1)
    return torch.cat([features, t.expand(-1, -1, 7, 7), y.expand(-1, -1, 7, 7)], dim=1)


def at_one_place(e, row, column):
    out = torch.zeros(*e.shape, 7, 7)
    out[:, :, row, column] = e
    return out


def rows_by_masks(labels):
    known = torch.tensor([label is not None for label in labels])
    digits = torch.tensor([0 if label is None else label for label in labels])
    return F.one_hot(digits, num_classes=10) * known[:, None]


def rows_in_numpy(labels):
    rows = np.zeros((len(labels), 10))
    for i, label in enumerate(labels):
        if label is not None:
            rows[i, label] += 1
    return rows


def rows_from_eleven(labels):
    eye = torch.cat([torch.eye(10), torch.zeros(1, 10)])
    return eye[[10 if label is None else label for label in labels]]


def falsy_zero(labels):
    rows = torch.zeros(len(labels), 10)
    for row, label in zip(rows, labels, strict=True):
        if label:
            row[label] = 1
    return rows


def one_list_for_all(labels):
    rows = [[0] * 10] * len(labels)
    for row, label in zip(rows, labels, strict=True):
        if label is not None:
            row[label] = 1
    return torch.tensor(rows)


def all_in_one_row(labels):
    row = torch.zeros(10)
    for label in labels:
        if label is not None:
            row[label] = 1
    return row


def return_in_the_loop(labels):
    rows = torch.zeros(len(labels), 10)
    for row, label in zip(rows, labels, strict=True):
        if label is not None:
            row[label] = 1
        return rows


def none_replaced_in_the_list(labels):
    for i, label in enumerate(labels):
        if label is None:
            labels[i] = 10
    return F.one_hot(torch.tensor(labels), 11)[:, :10]


def eye_with_none_as(row):
    """An answer in which "no label" is this row."""
    return lambda labels: torch.stack([row if label is None else torch.eye(10)[label] for label in labels])


def one_hot_without_width(labels):
    known = torch.tensor([label is not None for label in labels])
    return F.one_hot(torch.tensor([label or 0 for label in labels])) * known[:, None]


def counted_by_torch(channels_in, channels_out, kernel):
    return sum(p.numel() for p in nn.Conv2d(channels_in, channels_out, kernel).parameters())


def counted_in_loops(channels_in, channels_out, kernel):
    count = 0
    for _ in range(channels_out):
        count += 1
        for _ in range(channels_in):
            count += kernel**2
    return count


def labels_left_below(labels):
    rows = torch.zeros(len(labels), 10)
    for i, label in enumerate(labels):
        if label is not None:
            rows[i, label] = 1
    return None


def no_return(*inputs):
    result = inputs[0]
    result = [result, result]


def printed(*inputs):
    print(inputs[0] if isinstance(inputs[0], int | list) else inputs[0].shape)


def wired(
    t_of=lambda t: t,
    y_of=lambda y: y,
    told=lambda h, t, y: [h, maps(t), maps(y)],
    up=lambda h: h,
    at_14=lambda up, skip: [up, skip],
    at_28=lambda up, skip: [up, skip],
    end=lambda out, x_t: out,
):
    """The network's forward, with a change somewhere."""

    def forward(self, x_t, t_over_T, y):
        h_28 = self.encoder_28(x_t)
        h_14 = self.encoder_14(h_28)
        h = self.encoder_7(h_14)
        t_embedding, y_embedding = self.time_mlp(t_of(t_over_T).unsqueeze(1)), self.label_mlp(y_of(y))
        h = self.bottleneck(torch.cat(told(h, t_embedding, y_embedding), dim=1))
        h = self.decoder_14(torch.cat(at_14(up(self.up_14(h)), h_14), dim=1))
        h = self.decoder_28(torch.cat(at_28(up(self.up_28(h)), h_28), dim=1))
        return end(self.head(h), x_t)

    return forward


def wired_with_join(self, x_t, t_over_T, y):
    skips = [self.encoder_28(x_t)]
    skips.append(self.encoder_14(skips[0]))
    h = self.encoder_7(skips[1])
    h = self.bottleneck(self.join(h, self.time_mlp(t_over_T[:, None]), self.label_mlp(y)))
    for up, decoder in ((self.up_14, self.decoder_14), (self.up_28, self.decoder_28)):
        h = decoder(torch.hstack([up(h), skips.pop()]))
    return self.head(h)


def wired_picture_by_picture(self, x_t, t_over_T, y):
    return torch.cat([wired()(self, x_t[i : i + 1], t_over_T[i : i + 1], y[i : i + 1]) for i in range(len(x_t))])


def wired_by_name(self, x_t, t_over_T, y):
    layer = dict(self.named_children())
    a = layer["encoder_28"](x_t)
    b = layer["encoder_14"](a)
    c = layer["encoder_7"](b)
    t, y = layer["time_mlp"](t_over_T.reshape(-1, 1)), layer["label_mlp"](y)
    ty = torch.cat([t, y], 1)[..., None, None].repeat(1, 1, 7, 7)
    d = layer["bottleneck"](torch.cat([c, ty], 1))
    e = layer["decoder_14"](torch.cat([layer["up_14"](d), b], 1))
    return layer["head"](layer["decoder_28"](torch.cat([layer["up_28"](e), a], 1)))


def wired_in_doubles(self, x_t, t_over_T, y):
    return wired()(copy.deepcopy(self).double(), x_t.double(), t_over_T.double(), y.double())


def wired_in_numpy(self, x_t, t_over_T, y):
    with torch.no_grad():
        return wired()(self, x_t, t_over_T, y).numpy()


def wired_in_train_mode(self, x_t, t_over_T, y):
    self.train()
    return wired()(self, x_t, t_over_T, y)


def wired_without_an_axis_for_t(self, x_t, t_over_T, y):
    return self.time_mlp(t_over_T)


def wired_with_a_sum(self, x_t, t_over_T, y):
    h_28 = self.encoder_28(x_t)
    h_14 = self.encoder_14(h_28)
    h = self.bottleneck(self.join(self.encoder_7(h_14), self.time_mlp(t_over_T[:, None]), self.label_mlp(y)))
    return self.head(self.decoder_28(self.up_28(self.decoder_14(self.up_14(h) + h_14)) + h_28))


def wired_without_return(self, x_t, t_over_T, y):
    out = wired()(self, x_t, t_over_T, y)
    out = out + 0


def ask(network, t=0.9, digit=0, x_t=None):
    """The network's answer for one picture."""
    y = torch.zeros(1, 10) if digit is None else torch.eye(10)[[digit]]
    return network(torch.zeros(1, 1, 28, 28) if x_t is None else x_t, torch.tensor([t]), y)


def comparing(differ, returned=lambda t, y: (t, y)):
    """A test that compares answers by differ(a, b)."""

    def listens(network):
        out = ask(network)
        return returned(differ(out, ask(network, t=0.3)), differ(out, ask(network, digit=7)))

    return listens


def any_difference(a, b):
    return not torch.equal(a, b)


def in_one_batch(network, least=0.0):
    t, y = torch.tensor([0.1, 0.8, 0.1]), torch.eye(10)[[2, 2, 5]]
    out = network(torch.ones(3, 1, 28, 28), t, y)
    return bool((out[0] - out[1]).abs().max() > least), bool((out[0] - out[2]).abs().max() > least)


def all_digits_and_times(network):
    x_t = torch.randn(1, 1, 28, 28).expand(10, -1, -1, -1)
    by_t = network(x_t, torch.linspace(0.1, 1, 10), torch.zeros(10, 10))
    by_y = network(x_t, torch.full((10,), 0.7), torch.eye(10))
    return [(by_t - by_t[:1]).abs().max() > 1e-6, (by_y - by_y[:1]).abs().max() > 1e-6]


def listens_in_numpy(network):
    with torch.no_grad():
        out, by_t, by_y = (ask(network, **other).numpy() for other in ({}, {"t": 0.2}, {"digit": 3}))
    return np.array([np.abs(out - by_t).max() > 0, not np.array_equal(out, by_y)])


def listens_by_sums(network):
    out = ask(network)
    return tuple(float(abs(out - other).sum()) > 0 for other in (ask(network, t=0.5), ask(network, digit=1)))


def listens_by_lists(network):
    out = ask(network).tolist()
    return int(out != ask(network, t=0.5).tolist()), int(out != ask(network, digit=9).tolist())


def both_at_once(network):
    changed = any_difference(ask(network), ask(network, t=0.2, digit=4))
    return changed, changed


def another_picture_each_time(network):
    noise = torch.randn(3, 1, 1, 28, 28)
    out = ask(network, x_t=noise[0])
    return (any_difference(out, ask(network, t=0.1, x_t=noise[1])),
            any_difference(out, ask(network, digit=4, x_t=noise[2])))  # fmt: skip


def another_picture_for_y(network):
    out = ask(network)
    other = ask(network, digit=4, x_t=torch.ones(1, 1, 28, 28))
    return any_difference(out, ask(network, t=0.1)), any_difference(out, other)


def t_still_changed_for_y(network):
    out = ask(network)
    return any_difference(out, ask(network, t=0.1)), any_difference(out, ask(network, t=0.1, digit=4))


def y_still_changed_for_t(network):
    out = ask(network)
    return any_difference(out, ask(network, t=0.1, digit=4)), any_difference(out, ask(network, digit=4))


def label_against_none(network):
    out = ask(network)
    return any_difference(out, ask(network, t=0.1)), any_difference(out, ask(network, digit=None))


def same_label_twice(network):
    out = ask(network)
    return any_difference(out, ask(network, t=0.1)), any_difference(out, ask(network, digit=0))


def same_time_twice(network):
    out = ask(network)
    return any_difference(out, ask(network, t=0.9)), any_difference(out, ask(network, digit=6))


def digits_as_numbers(network):
    x_t, t = torch.zeros(1, 1, 28, 28), torch.tensor([0.5])
    return True, not torch.equal(network(x_t, t, torch.tensor([3])), network(x_t, t, torch.tensor([4])))


def tested_without_return(network):
    hears = in_one_batch(network)
    hears = tuple(hears)


RIGHT = {
    "resize_and_concatenate": [
        lambda f, t, y: torch.cat([f, maps(t), maps(y)], dim=1),
        lambda f, t, y: torch.cat([f, maps(torch.cat([t, y], dim=1))], dim=1),
        lambda f, t, y: torch.cat([f, *(e[..., None, None].repeat(1, 1, 7, 7) for e in (t, y))], 1),
        lambda f, t, y: torch.hstack([f, *(F.interpolate(e[:, :, None, None], size=7) for e in (t, y))]),
        lambda f, t, y: torch.cat([f, *(e.repeat_interleave(49, dim=1).view(*e.shape, 7, 7) for e in (t, y))], 1),
        lambda f, t, y: torch.cat([f.double(), maps(t).double(), maps(y).double()], dim=1),
        lambda f, t, y: torch.cat([f, maps(t), maps(y)], dim=1).tolist(),
        lambda f, t, y: torch.cat([f, *(torch.einsum("be,hw->behw", e, torch.ones(7, 7)) for e in (t, y))], 1),
        filled_by_loops,
        in_numpy,
    ],
    "label_rows": [
        lambda labels: torch.stack([torch.zeros(10) if d is None else torch.eye(10)[d] for d in labels]),
        lambda labels: [[float(d == digit) for digit in range(10)] for d in labels],
        lambda labels: [[0] * 10 if d is None else [0] * d + [1] + [0] * (9 - d) for d in labels],
        lambda labels: torch.tensor([-1 if d is None else d for d in labels])[:, None] == torch.arange(10),
        lambda labels: np.array([np.zeros(10) if d is None else np.eye(10)[d] for d in labels]),
        rows_by_masks,
        rows_in_numpy,
        rows_from_eleven,
    ],
    "conv_parameters": [
        lambda n, m, k: n * m * k**2 + m,
        lambda n, m, k: float(m * (n * k * k + 1)),
        lambda n, m, k: torch.zeros(m, n, k, k).numel() + m,
        lambda n, m, k: np.prod([n, m, k, k]) + m,
        lambda n, m, k: torch.tensor(m * n * k * k + m),
        lambda n, m, k: sum([n * k * k + 1] * m),
        counted_by_torch,
        counted_in_loops,
    ],
    "unet_forward": [
        wired(),
        wired_with_join,
        wired_picture_by_picture,
        wired_by_name,
        wired_in_doubles,
        wired_in_numpy,
        lambda self, x_t, t_over_T, y: UNet.forward(self, x_t, t_over_T, y),
        lambda self, x_t, t_over_T, y: wired()(self, x_t, t_over_T, y).tolist(),
    ],
    "listens": [
        lambda network: torch.tensor(in_one_batch(network, 1e-6)),
        comparing(any_difference),
        comparing(lambda a, b: (a - b).abs().max() > 1e-7),
        comparing(lambda a, b: not torch.allclose(a, b)),
        comparing(lambda a, b: (a != b).any(), lambda t, y: torch.stack([t, y])),
        comparing(lambda a, b: bool(F.mse_loss(a, b) > 0)),
        comparing(lambda a, b: (a - b).norm() > 0, lambda t, y: [float(t), float(y)]),
        lambda network: in_one_batch(network, 1e-6),
        all_digits_and_times,
        listens_in_numpy,
        listens_by_sums,
        listens_by_lists,
    ],
}

WRONG = {
    "resize_and_concatenate": [
        (lambda f, t, y: torch.cat([f, maps(y), maps(t)], dim=1), "swapped"),
        (lambda f, t, y: torch.cat([maps(t), maps(y), f], dim=1), "features belong first"),
        (lambda f, t, y: torch.cat([maps(t), f, maps(y)], dim=1), "features belong first"),
        (lambda f, t, y: torch.cat([f, *(e.repeat(1, 49).view(*e.shape, 7, 7) for e in (t, y))], 1), "mixes"),
        (lambda f, t, y: torch.cat([f, maps(t)], dim=1), "y is missing"),
        (lambda f, t, y: torch.cat([f, maps(y)], dim=1), "t is missing"),
        (lambda f, t, y: torch.cat([f, maps(t), maps(t)], dim=1), "twice"),
        (lambda f, t, y: torch.cat([f, maps(y), maps(y)], dim=1), "twice"),
        (lambda f, t, y: torch.cat([f, maps(t + y)], dim=1), "add"),
        (lambda f, t, y: torch.cat([f, at_one_place(t, 3, 3), at_one_place(y, 3, 3)], dim=1), "one position"),
        (lambda f, t, y: torch.cat([f, at_one_place(t, 0, 0), at_one_place(y, 0, 0)], dim=1), "one position"),
        (lambda f, t, y: torch.cat([f, maps(t / 49), maps(y / 49)], dim=1), "49"),
        (lambda f, t, y: torch.cat([f, *(maps(e[:1].expand(len(f), -1)) for e in (t, y))], 1), "first picture"),
        (lambda f, t, y: torch.cat([f, *(maps(e.mean(0).expand(len(f), -1)) for e in (t, y))], 1), "mean"),
        (lambda f, t, y: torch.cat([f, *(maps(e.mean(1, True).expand_as(e)) for e in (t, y))], 1), "mean"),
        (lambda f, t, y: maps(torch.cat([t, y], dim=1)), "features are missing"),
        (lambda f, t, y: torch.cat([f, maps(t), maps(y)], dim=0), None),
        (lambda f, t, y: torch.cat([f, t[:, :, None, None], y[:, :, None, None]], dim=1), None),
        (lambda f, t, y: torch.cat([f, maps(t), maps(y)], dim=1).transpose(2, 3), None),
        (lambda f, t, y: torch.cat([f, maps(t), maps(y)], dim=1)[:, :, :, :6], None),
        (lambda f, t, y: torch.cat([f, maps(t), maps(y)], dim=1).flatten(2), None),
        (lambda f, t, y: [f, maps(t), maps(y)], None),
        (unsqueezed_in_place, "in place"),
        (no_return, "`return`"),
        (printed, "`return`"),
    ],
    "label_rows": [
        (falsy_zero, "the digit 0"),
        (lambda labels: torch.eye(10)[[d or 0 for d in labels]], "row of the digit 0"),
        (eye_with_none_as(torch.full((10,), 0.1)), "all digits at once"),
        (eye_with_none_as(torch.ones(10)), "row of ones"),
        (eye_with_none_as(torch.eye(10)[9]), "digit 9"),
        (lambda labels: torch.eye(10)[[-1 if d is None else d for d in labels]], "digit 9"),
        (eye_with_none_as(-torch.ones(10)), None),
        (one_hot_without_width, "ten columns"),
        (lambda labels: torch.stack([torch.eye(10)[d] for d in labels if d is not None]), "leave out"),
        (all_in_one_row, "one row for all"),
        (one_list_for_all, "same row"),
        (return_in_the_loop, "first label"),
        (lambda labels: torch.stack([torch.eye(11)[10 if d is None else d] for d in labels]), "eleven"),
        (lambda labels: torch.stack([torch.zeros(10) if d is None else torch.eye(10)[d - 1] for d in labels]),
         "digit below"),
        (lambda labels: [-1 if d is None else d for d in labels], None),
        (lambda labels: [0 if d is None else d for d in labels], "numbers themselves"),
        (lambda labels: rows_from_eleven(labels).T, "rows and columns"),
        (lambda labels: [[None] * 10 if d is None else torch.eye(10)[d].tolist() for d in labels], "None"),
        (lambda labels: torch.zeros(len(labels), 10), "all rows are zero"),
        (lambda labels: rows_from_eleven(labels) * 0.9, None),
        (lambda labels: F.one_hot(torch.tensor(labels), 10), "raised"),
        (lambda labels: rows_from_eleven([3, None, 0]), "example"),
        (none_replaced_in_the_list, "in place"),
        (labels_left_below, "`return None`"),
        (no_return, "`return`"),
        (printed, "`return`"),
    ],
    "conv_parameters": [
        (lambda n, m, k: n * m * k * k, "biases"),
        (lambda n, m, k: n * m * k * k + 1, "one bias"),
        (lambda n, m, k: n * m * k * k + n, "bias for each input"),
        (lambda n, m, k: n * (m * k * k + 1), "bias for each input"),
        (lambda n, m, k: n * m * (k * k + 1), "bias for each kernel"),
        (lambda n, m, k: n * m * 2 * k + m, "2k"),
        (lambda n, m, k: n * m * (k + k) + m, "2k"),
        (lambda n, m, k: n * m * k + m, "square"),
        (lambda n, m, k: n * m * 9 + m, "3"),
        (lambda n, m, k: 704, None),
        (lambda n, m, k: n * m * k**3 + m, "k³"),
        (lambda n, m, k: m * k * k + m, "every input channel"),
        (lambda n, m, k: m * (k * k + 1), "every input channel"),
        (lambda n, m, k: n * k * k + 1, "one output channel"),
        (lambda n, m, k: (n + m) * k * k + m, "add"),
        (lambda n, m, k: n * m * (k ^ 2) + m, "`^`"),
        (lambda n, m, k: n * m * 2**k + m, "k²"),
        (lambda n, m, k: (n * m * k * k + m) * 784, "positions"),
        (lambda n, m, k: n * m * k * k * 784, "positions"),
        (lambda n, m, k: n * m * k * k + m + n, None),
        (lambda n, m, k: (n * m * k * k, m), None),
        (lambda n, m, k: f"{n * m * k * k + m:,}", None),
        (lambda n, m, k: nn.Conv2d(n, m, k), None),
        (lambda n, m, k: nn.Conv2d(n, m, k).weight.numel(), "biases"),
        (no_return, "`return`"),
        (printed, "`return`"),
    ],
    "unet_forward": [
        (wired(at_14=lambda up, skip: [skip, up], at_28=lambda up, skip: [skip, up]), "comes first"),
        (wired(at_14=lambda up, skip: [skip, up]), "comes first"),
        (wired(at_28=lambda up, skip: [skip, up]), "comes first"),
        (wired(at_14=lambda up, skip: [up, up], at_28=lambda up, skip: [up, up]), "skip connection"),
        (wired(at_14=lambda up, skip: [up, 0 * skip], at_28=lambda up, skip: [up, 0 * skip]), "skip connection"),
        (wired(at_28=lambda up, skip: [up, up]), "skip connection"),
        (wired(at_14=lambda up, skip: [skip, skip], at_28=lambda up, skip: [skip, skip]), "up"),
        (wired(told=lambda h, t, y: [h, maps(y), maps(t)]), "swapped"),
        (wired(told=lambda h, t, y: [h, maps(t), maps(t)]), "y never arrives"),
        (wired(told=lambda h, t, y: [h, maps(y), maps(y)]), "t never arrives"),
        (wired(told=lambda h, t, y: [maps(t), maps(y), h]), "features belong first"),
        (wired(y_of=lambda y: y * 0), "deaf to y"),
        (wired(t_of=lambda t: t * 0), "deaf to t"),
        (wired(y_of=lambda y: y[:1].expand_as(y), t_of=lambda t: t[:1].expand_as(t)), None),
        (wired(t_of=lambda t: t.mean().expand_as(t)), None),
        (wired(t_of=lambda t: t[0].expand_as(t)), "first picture"),
        (wired(y_of=lambda y: y.softmax(dim=1)), None),
        (wired(y_of=lambda y: F.one_hot(y.argmax(dim=1), 10).float()), "row of zeros"),
        (wired(end=lambda out, x_t: out.relu()), "relu"),
        (wired(end=lambda out, x_t: F.relu(out)), "negative"),
        (wired(end=lambda out, x_t: out.tanh()), "tanh"),
        (wired(end=lambda out, x_t: x_t + out), "x_t"),
        (wired(end=lambda out, x_t: x_t - out), "x_t"),
        (wired(end=lambda out, x_t: out.clamp(-1, 1)), None),
        (wired(up=lambda h: h.relu()), "relu"),
        (wired(end=lambda out, x_t: out[:, 0]), None),
        (wired_without_an_axis_for_t, None),
        (wired_with_a_sum, None),
        (wired_in_train_mode, "in place"),
        (lambda self, x_t, t_over_T, y: self(x_t, t_over_T, y), None),
        (lambda self, x_t, t_over_T, y: self.head(self.encoder_28(x_t)), "straight"),
        (wired_without_return, "`return`"),
        (lambda self, x_t, t_over_T, y: print(wired()(self, x_t, t_over_T, y).shape), "`return`"),
    ],
    "listens": [
        (both_at_once, "together"),
        (another_picture_each_time, "every network"),
        (another_picture_for_y, "picture"),
        (t_still_changed_for_y, "t is changed, too"),
        (y_still_changed_for_t, "y is changed, too"),
        (label_against_none, "which"),
        (in_one_batch, "last bit"),
        (same_label_twice, "listens to y"),
        (same_time_twice, "listens to t"),
        (comparing(any_difference, lambda t, y: (y, t)), "swapped"),
        (comparing(torch.equal), "upside down"),
        (comparing(lambda a, b: not torch.allclose(a, b, atol=1e-2)), "coarse"),
        (comparing(lambda a, b: (a - b).abs().max() > 1e-3), "coarse"),
        (comparing(lambda a, b: (a - b).abs().mean() > 1e-4), "coarse"),
        (comparing(lambda a, b: (a != b).all()), "every pixel"),
        (comparing(lambda a, b: (a - b).mean() > 0), None),
        (comparing(any_difference, lambda t, y: t and y), "two answers"),
        (comparing(any_difference, lambda t, y: y), "two answers"),
        (comparing(any_difference, lambda t, y: (t, t)), "twice"),
        (comparing(any_difference, lambda t, y: (y, y)), "twice"),
        (comparing(any_difference, lambda t, y: (t and y, t and y)), "both"),
        (comparing(lambda a, b: a.shape != b.shape), "no network"),
        (comparing(lambda a, b: a is not b), "every network"),
        (comparing(lambda a, b: (a - b).abs().max(), lambda t, y: torch.stack([t, y])), None),
        (comparing(any_difference, lambda t, y: {"t": t, "y": y}), None),
        (comparing(any_difference, lambda t, y: (str(t), str(y))), None),
        (lambda network: (True, True), "every network"),
        (lambda network: (False, False), "no network"),
        (digits_as_numbers, None),
        (tested_without_return, "`return`"),
        (lambda network: print(in_one_batch(network)), "`return`"),
    ],
}  # fmt: skip
