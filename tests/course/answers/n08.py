"""Answers to the exercises of notebook 08, written from their text; see n04.py."""

import math

import numpy as np
import torch
import torch.nn.functional as F


def no_return(*inputs):
    print(type(inputs[0]))


def score_by_entropies(p):
    p_y = p.mean(dim=0)
    return torch.exp(-(p_y * p_y.log()).sum() + (p * p.log()).sum(dim=1).mean())


def score_in_a_loop(p):
    rows = p.tolist()
    p_y = [sum(row[k] for row in rows) / len(rows) for k in range(10)]
    total = 0
    for row in rows:
        for p_k, q_k in zip(row, p_y, strict=True):
            total += p_k * math.log(p_k / q_k)
    return math.exp(total / len(rows))


def score_in_numpy(p):
    p = p.numpy().astype(np.float64)
    return np.exp(np.mean(np.sum(p * (np.log(p) - np.log(p.mean(axis=0))), axis=1)))


def score_by_distributions(p):
    each, mean = torch.distributions.Categorical(p), torch.distributions.Categorical(p.mean(0, keepdim=True))
    return torch.distributions.kl_divergence(each, mean).mean().exp()


def coverage_in_a_loop(distances, radii):
    covered = 0
    for row, radius in zip(distances.tolist(), radii.tolist(), strict=True):
        covered += any(distance <= radius for distance in row)
    return covered / len(radii)


def infinity_by_lstsq(n, fid):
    A = torch.stack([torch.ones(5), 1 / n], dim=1)
    return torch.linalg.lstsq(A, fid[:, None]).solution[0, 0]


def infinity_in_a_loop(n, fid):
    x, y = [1 / float(v) for v in n], [float(v) for v in fid]
    k, sx, sy = len(x), sum(x), sum(y)
    sxx, sxy = sum(a * a for a in x), sum(a * b for a, b in zip(x, y, strict=True))
    return (sy * sxx - sx * sxy) / (k * sxx - sx * sx)


def slope_over(x, fid):
    return ((x - x.mean()) * (fid - fid.mean())).sum() / ((x - x.mean()) ** 2).sum()


def over(change):
    def attempt(n, fid):
        x = change(n)
        return fid.mean() - slope_over(x, fid) * x.mean()

    return attempt


def with_slope(slope):
    return lambda n, fid: fid.mean() - slope(1 / n, fid) * (1 / n).mean()


def infinity_left_below(n, fid):
    x = 1 / n
    fid.mean() - slope_over(x, fid) * x.mean()
    return None


def kl(p, q):
    return (p * (p / q).log()).sum(dim=1)


def chosen(count=None, best=None, close=None, choice=None):
    """The rule of exercise 4, or the rule with one of its four steps changed."""
    count = count or (lambda fid, floor: fid.clamp(min=floor))
    best = best or (lambda fid: int(fid.mean(dim=1).argmin()))
    close = close or (lambda fid, winner: fid.amin(dim=1) <= winner.max())
    choice = choice or (lambda w, fid: w[0])

    def attempt(w, fid, floor):
        fid = count(fid, floor)
        is_close = close(fid, fid[best(fid)])
        return choice(w[is_close], fid[is_close])

    return attempt


def w_in_numpy(w, fid, floor):
    fid = np.maximum(np.asarray(fid), floor)
    best = fid[fid.mean(axis=1).argmin()]
    overlap = (fid.min(axis=1) <= best.max()) & (fid.max(axis=1) >= best.min())
    return np.asarray(w)[overlap].min()


def w_in_a_loop(w, fid, floor):
    rows = [[max(float(value), float(floor)) for value in row] for row in fid]
    means = [sum(row) / len(row) for row in rows]
    best = rows[means.index(min(means))]
    for weight, row in zip(w, rows, strict=True):
        if not (min(row) > max(best) or max(row) < min(best)):
            return weight


def w_by_index(w, fid, floor):
    counted = torch.where(fid < floor, torch.full_like(fid, floor), fid)
    mean, low, high = counted.mean(1), counted.min(1).values, counted.max(1).values
    return w[(low <= high[mean.argmin()]).int().argmax()].item()


def w_of_sorted(w, fid, floor):
    fid = torch.maximum(fid, torch.tensor(floor)).sort(dim=1).values
    _, highest = min(zip(fid.sum(dim=1).tolist(), fid[:, -1].tolist(), strict=True))
    return min(weight for weight, low in zip(w.tolist(), fid[:, 0].tolist(), strict=True) if low <= highest)


def w_above_the_floor(w, fid, floor):
    excess = torch.relu(fid.float() - floor)
    best = excess[excess.mean(dim=-1).argmin()]
    return float(w[(best.max() >= excess.T).any(dim=0)][0])


def bands(width):
    """Whether mean ± width·std overlaps with the best's."""

    def close(fid, winner):
        std = fid.std(dim=1, correction=0)
        return fid.mean(1) - width * std <= winner.mean() + width * winner.std(correction=0)

    return close


RIGHT = {
    "inception_score": [
        lambda p: (p * (p.log() - p.mean(0).log())).sum(1).mean().exp().item(),
        lambda p: torch.exp(F.kl_div(p.mean(0, keepdim=True).log().expand_as(p), p, reduction="batchmean")),
        lambda p: math.exp(sum(kl(p, p.mean(0))) / len(p)),
        lambda p: kl(p.double(), p.double().mean(dim=0)).mean().exp(),
        score_by_entropies,
        score_in_a_loop,
        score_in_numpy,
        score_by_distributions,
    ],
    "coverage": [
        lambda distances, radii: (distances.min(dim=1).values <= radii).float().mean(),
        lambda distances, radii: (distances.numpy() <= radii.numpy()[:, None]).any(axis=1).mean(),
        lambda distances, radii: ((distances - radii.unsqueeze(1)) <= 0).any(1).sum() / len(radii),
        lambda distances, radii: ((distances <= radii[:, None]).sum(dim=1) > 0).double().mean(),
        lambda distances, radii: float((radii >= distances.T).any(dim=0).sum()) / radii.numel(),
        lambda distances, radii: np.mean([bool((row <= r).any()) for row, r in zip(distances, radii, strict=True)]),
        lambda distances, radii: 1 - (distances > radii.view(-1, 1)).all(dim=1).float().mean(),
        coverage_in_a_loop,
    ],
    "fid_infinity": [
        lambda n, fid: np.polyfit(1 / n, fid, 1)[1],
        lambda n, fid: np.polyfit(1 / np.asarray(n), np.asarray(fid), 1)[-1],
        lambda n, fid: np.polynomial.Polynomial.fit(1 / n.numpy(), fid.numpy(), 1)(0),
        lambda n, fid: fid.mean() - torch.cov(torch.stack([1 / n, fid]))[0, 1] / (1 / n).var() * (1 / n).mean(),
        lambda n, fid: over(lambda n: 1 / n)(n.double(), fid.double()),
        lambda n, fid: ((fid - slope_over(n.reciprocal(), fid) / n).sum() / 5).item(),
        infinity_by_lstsq,
        infinity_in_a_loop,
    ],
    "choose_w": [
        chosen(),
        lambda w, fid, floor: chosen()(w.float(), fid.float(), floor),
        w_in_numpy,
        w_in_a_loop,
        w_by_index,
        w_of_sorted,
        w_above_the_floor,
    ],
}

WRONG = {
    "inception_score": [
        (lambda p: kl(p, p.mean(0)).mean(), "exp"),
        (lambda p: kl(p, torch.full((10,), 0.1)).mean().exp(), "1/10"),
        (lambda p: kl(p, p.mean(dim=1, keepdim=True)).mean().exp(), "1/10"),
        (lambda p: (p / p.mean(0)).log().sum(1).mean().exp(), "weight"),
        (lambda p: (p * (p / p.mean(0)).log2()).sum(1).mean().exp(), "log2"),
        (lambda p: 2 ** (p * (p / p.mean(0)).log()).sum(1).mean(), "log2"),
        (lambda p: (p * (p / p.mean(0)).log10()).sum(1).mean().exp(), "log10"),
        (lambda p: kl(p, p.mean(0)).exp().mean(), "before"),
        (lambda p: (p * (p / p.mean(0)).log()).mean().exp(), "sum over the classes"),
        (lambda p: kl(p.mean(0), p).mean().exp(), "wrong way round"),
        (lambda p: (p * (p.mean(0) / p).log()).sum(1).mean().exp(), "upside down"),
        (lambda p: (-kl(p, p.mean(0)).mean()).exp(), "upside down"),
        (lambda p: kl(p, p.mean(0)).sum().exp(), "mean over the images"),
        (lambda p: (p * p.log()).sum(1).mean().neg().exp(), "p(y)"),
        (lambda p: kl(p.softmax(dim=1), p.softmax(dim=1).mean(0)).mean().exp(), "softmax"),
        (lambda p: (-(p.mean(0) * p.mean(0).log()).sum()).exp(), "p(y)"),
        (lambda p: kl(p, p.mean(0)).exp(), "for each image"),
        (lambda p: kl(p, p.mean(0)).median().exp(), None),
        (lambda p: p.log_().mean(), "in place"),
        (no_return, "`return`"),
    ],
    "coverage": [
        (lambda distances, radii: (distances <= radii[:, None]).any(dim=0).float().mean(), "precision"),
        (lambda distances, radii: (distances < radii[:, None]).any(dim=1).float().mean(), "edge"),
        (lambda distances, radii: (distances.min(dim=1).values < radii).float().mean(), "edge"),
        (lambda distances, radii: (distances <= radii[:, None]).float().mean(), "pairs"),
        (lambda distances, radii: (distances <= radii[:, None]).all(dim=1).float().mean(), "any"),
        (lambda distances, radii: (distances.max(dim=1).values <= radii).float().mean(), "any"),
        (lambda distances, radii: (distances <= radii[:, None]).any(dim=1).sum(), "number of balls"),
        (lambda distances, radii: (distances <= radii[:, None]).any(dim=1), "for each ball"),
        (lambda distances, radii: (distances <= radii).any(dim=1).float().mean(), "raised RuntimeError"),
        (lambda d, radii: (d <= radii[:, None]).any(dim=1).sum() / d.shape[1], "divide by"),
        (lambda distances, radii: (distances >= radii[:, None]).any(dim=1).float().mean(), "other way round"),
        (lambda distances, radii: (distances > radii[:, None]).all(dim=1).float().mean(), "empty"),
        (lambda distances, radii: (distances <= radii[:, None]).sum(dim=0).float().mean(), "density"),
        (lambda distances, radii: (distances <= radii.mean()).any(dim=1).float().mean(), "radius of its own"),
        (lambda distances, radii: (distances <= radii.max()).any(dim=1).float().mean(), "radius of its own"),
        (lambda d, radii: 100 * (d <= radii[:, None]).any(dim=1).float().mean(), "percent"),
        (lambda distances, radii: distances.sub_(radii[:, None]).le(0).any(1).float().mean(), "in place"),
        (lambda distances, radii: (distances <= radii[:, None]).any().float(), "at least one"),
        (lambda distances, radii: distances.argmin(0).unique().numel() / len(radii), None),
        (no_return, "`return`"),
    ],
    "fid_infinity": [
        (lambda n, fid: slope_over(1 / n, fid), "slope"),
        (lambda n, fid: np.polyfit(1 / n, fid, 1)[0], "slope"),
        (lambda n, fid: np.polyfit(1 / n, fid, 1), "both numbers"),
        (lambda n, fid: np.polyfit(n, fid, 1)[1], "over n"),
        (over(lambda n: n), "over n"),
        (over(lambda n: n**-0.5), "1/√n"),
        (over(lambda n: n.log()), "log"),
        (lambda n, fid: fid[-1], "largest n"),
        (lambda n, fid: fid.min(), "lowest"),
        (lambda n, fid: fid.mean(), "mean"),
        (lambda n, fid: fid.mean() + slope_over(1 / n, fid) * (1 / n).mean(), "away"),
        (lambda n, fid: (n[-1] * fid[-1] - n[0] * fid[0]) / (n[-1] - n[0]), "the last point only"),
        (lambda n, fid: (n[-1] * fid[-1] - n[-2] * fid[-2]) / (n[-1] - n[-2]), "two points"),
        (with_slope(lambda x, fid: (x * fid).sum() / (x**2).sum()), "x̄"),
        (with_slope(lambda x, fid: ((x - x.mean()) * (fid - fid.mean())).sum() / (x**2).sum()), "x̄"),
        (lambda n, fid: np.polyfit(1 / n, fid, 2)[2], "parabola"),
        (lambda n, fid: np.polyfit(fid, 1 / n, 1)[1], "swapped"),
        (lambda n, fid: np.polyval(np.polyfit(1 / n, fid, 1), 1), "x = 1"),
        (lambda n, fid: fid[-1] - slope_over(1 / n, fid) / n[-1], "last point"),
        (lambda n, fid: fid.mean() - slope_over(1 / n, fid) / n.mean(), "mean of 1/n"),
        (lambda n, fid: fid.mean() - slope_over(1 / n, fid), "x̄"),
        (lambda n, fid: 0.0, None),
        (infinity_left_below, "`return None`, is still there"),
        (no_return, "`return`"),
    ],
    "choose_w": [
        (lambda w, fid, floor: w[fid.mean(dim=1).argmin()], "lowest mean"),
        (lambda w, fid, floor: w[fid.clamp(min=floor).mean(dim=1).argmin()], "lowest mean"),
        (chosen(count=lambda fid, floor: fid), "floor"),
        (chosen(count=lambda fid, floor: fid.clamp(max=floor)), "wrong way"),
        (chosen(count=lambda fid, floor: (fid - floor).abs()), "distance from the floor"),
        (chosen(best=lambda fid: int(fid.amin(dim=1).argmin())), "single"),
        (chosen(best=lambda fid: int(fid.amax(dim=1).argmin())), "highest seed"),
        (chosen(best=lambda fid: int(fid.median(dim=1).values.argmin())), None),
        (chosen(close=lambda fid, winner: (fid.amin(dim=1) < winner.max()) | (fid == winner).all(dim=1)), "touch"),
        (chosen(close=lambda fid, winner: fid.amin(dim=1) < winner.max()), "raised IndexError"),
        (chosen(close=lambda fid, winner: fid.mean(dim=1) <= winner.max()), "its mean"),
        (chosen(close=lambda fid, winner: fid.amin(dim=1) <= winner.mean()), "the best's mean"),
        (chosen(close=bands(1)), "standard deviation"),
        (chosen(choice=lambda w, fid: w[-1]), "largest"),
        (chosen(choice=lambda w, fid: w.max()), "largest"),
        (chosen(choice=lambda w, fid: w), "one"),
        (lambda w, fid, floor: (fid.amin(1) <= fid[fid.mean(1).argmin()].max()).int().argmax(), None),
        (lambda w, fid, floor: (w == chosen()(w, fid, floor)).int().argmax(), "place"),
        (chosen(choice=lambda w, fid: fid[0].mean()), "a score"),
        (chosen(close=lambda fid, winner: fid.amax(dim=1) >= winner.min()), "smallest w of all"),
        (lambda w, fid, floor: w[0], "smallest w of all"),
        (lambda w, fid, floor: chosen()(w, fid.clamp_(min=floor), floor), "in place"),
        (lambda w, fid, floor: chosen(best=lambda fid: fid.mean(dim=0).argmin())(w, fid, floor), None),
        (no_return, "`return`"),
    ],
}
