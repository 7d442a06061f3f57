"""The model: the loss, label dropout and guidance, seen through a network that remembers what it was asked."""

import copy
import dataclasses
import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from ddpm_lib import DDPM, NoiseSchedule, UNet, sample
from ddpm_lib.ddpm import label_rows

PREDICTIONS = ["eps", "x_0", "v", "flow"]


def odd_network(x_t, t_over_T, y):
    """An answer that depends on all three inputs, each image by itself, with exact arithmetic for small integers."""
    return x_t + (y @ torch.arange(1.0, 11)).view(-1, 1, 1, 1) + 8 * t_over_T.view(-1, 1, 1, 1)


def eps_and_t(ddpm, x_0, call):
    """The ε and t that the network was shown, recovered from its inputs."""
    x_t, t_over_T, _ = call
    t = (t_over_T * ddpm.schedule.T).round().long()
    return ddpm.schedule.predict_eps(x_t.double(), t, x_0.double()), t


# ---------------------------------------------------------------------------- labels


def test_integer_labels_are_one_hot_rows():
    rows = label_rows(torch.tensor([3, 0, 9]), 10)
    assert rows.dtype == torch.float32
    assert rows.tolist() == [[float(k == digit) for k in range(10)] for digit in (3, 0, 9)]


@given(
    digits=st.lists(st.integers(0, 9), min_size=1, max_size=30),
    dtype=st.sampled_from([torch.uint8, torch.int32, torch.long]),
)
def test_label_rows_point_back_at_the_labels(digits, dtype):
    rows = label_rows(torch.tensor(digits, dtype=dtype), 10)
    assert rows.shape == (len(digits), 10)
    assert rows.argmax(dim=1).tolist() == digits
    assert (rows.sum(dim=1) == 1).all()
    assert torch.equal(label_rows(digits, 10), rows)
    assert torch.equal(label_rows(rows, 10), rows)


@given(
    weights=st.lists(st.floats(0, 1), min_size=10, max_size=10).filter(lambda row: sum(row) > 0.1),
    dropped=st.booleans(),
)
def test_soft_rows_and_zero_rows_pass_as_they_are(weights, dropped):
    rows = torch.tensor([weights, weights])
    rows = rows / rows.sum(dim=1, keepdim=True)
    rows[1] *= not dropped
    assert torch.equal(label_rows(rows, 10), rows)


@given(row=st.integers(0, 2), entry=st.integers(0, 9), value=st.sampled_from([math.nan, math.inf, -0.1, 0.6, 2.0]))
def test_one_bad_entry_in_one_row_is_refused(row, entry, value):
    rows = torch.full((3, 10), 0.1)
    rows[row, entry] = value
    with pytest.raises(ValueError, match=r"\by\b"):
        label_rows(rows, 10)


BAD_LABELS = {
    "10": torch.tensor([1, 10]),
    "negative": torch.tensor([-1, 1]),
    "floats": torch.tensor([1.0, 2.0]),
    "booleans": torch.tensor([True, False]),
    "integer rows": torch.eye(10).long()[:2],
    "nine classes": torch.eye(9)[:2],
    "too few": torch.tensor([1]),
    "too many": torch.tensor([1, 2, 3]),
    "a number": torch.tensor(3),
    "three axes": torch.zeros(2, 10, 1),
    "sum 2": torch.full((2, 10), 0.2),
    "NaN": torch.full((2, 10), math.nan),
    "negative weight": torch.eye(10)[:2] * 2 - torch.eye(10)[2:4],
    "empty": torch.zeros(0).long(),
    "empty rows": torch.zeros(0, 10),
    "text": ["a", "b"],
    "None": None,
}


@pytest.mark.parametrize("y", BAD_LABELS.values(), ids=BAD_LABELS.keys())
def test_bad_labels_are_refused(y, tiny_ddpm, images):
    with pytest.raises(ValueError, match=r"\by\b"):
        tiny_ddpm.loss(images(2), y)
    with pytest.raises(ValueError, match=r"\by\b"):
        tiny_ddpm.predict_noise(images(2), torch.tensor([1, 2]), y)


def test_no_label_is_told_apart_from_every_digit(tiny_ddpm, images):
    x_t, t = images(1).expand(11, -1, -1, -1), torch.full((11,), 10)
    rows = torch.cat([torch.eye(10), torch.zeros(1, 10)])
    with torch.inference_mode():
        *by_digit, unlabelled = tiny_ddpm.predict_noise(x_t, t, rows)
    assert all((eps_hat - unlabelled).abs().max() > 1e-5 for eps_hat in by_digit)


# ---------------------------------------------------------------------------- loss


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_loss_is_the_mean_squared_error_of_what_the_network_was_asked(prediction, stub_ddpm, images, generator):
    ddpm = stub_ddpm(odd_network, prediction)
    x_0 = images(16)
    loss = ddpm.loss(x_0, torch.arange(16) % 10, generator=generator)
    (call,) = ddpm.unet.calls
    eps, t = eps_and_t(ddpm, x_0, call)
    alpha_bar = ddpm.schedule.alpha_bar.double()[t].view(-1, 1, 1, 1)
    target = {
        "eps": eps,
        "x_0": x_0,
        "v": alpha_bar.sqrt() * eps - (1 - alpha_bar).sqrt() * x_0,
        "flow": eps - x_0,
    }[prediction]
    assert loss.ndim == 0
    # At t = T there is next to no x_0 in x_t, but then ε is x_t: recovering it loses nothing.
    assert loss.item() == pytest.approx((odd_network(*call) - target).square().mean().item(), rel=1e-4)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_errors_are_the_loss_image_by_image_at_the_times_that_were_drawn(prediction, stub_ddpm, images):
    ddpm = stub_ddpm(prediction=prediction)
    x_0, y = images(6), torch.arange(6)
    t, error = ddpm.errors(x_0, y, p_uncond=0.5, generator=torch.Generator().manual_seed(3))
    (_, t_over_T, rows), *_ = ddpm.unet.calls
    assert t.dtype == torch.long
    torch.testing.assert_close(t / ddpm.schedule.T, t_over_T)
    assert error.shape == x_0.shape
    loss = ddpm.loss(x_0, y, p_uncond=0.5, generator=torch.Generator().manual_seed(3))
    assert torch.equal(error.mean(), loss)
    assert torch.equal(ddpm.unet.calls[1][2], rows)  # the same labels were dropped


def test_errors_weighted_by_time_are_a_loss_that_trains(tiny_ddpm, images):
    t, error = tiny_ddpm.errors(images(4), torch.arange(4))
    (tiny_ddpm.schedule.alpha_bar[t].view(-1, 1, 1, 1) * error).mean().backward()
    assert all(p.grad.isfinite().all() for p in tiny_ddpm.unet.parameters() if p.grad is not None)
    assert any(p.grad.abs().sum() > 0 for p in tiny_ddpm.unet.parameters() if p.grad is not None)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_network_that_knows_the_answer_has_no_loss(prediction, stub_ddpm, images):
    x_0 = images(16)

    def oracle(x_t, t_over_T, y):
        t = (t_over_T * 20).round().long()
        eps = ddpm.schedule.predict_eps(x_t, t, x_0)
        return {"eps": eps, "x_0": x_0, "v": ddpm.schedule.velocity(x_0, t, eps), "flow": eps - x_0}[prediction]

    ddpm = stub_ddpm(oracle, prediction)
    assert ddpm.loss(x_0, torch.arange(16) % 10).item() < 1e-9


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("w", [0.0, 1.5, torch.tensor([-1.0, 0.5, 3.0])])
def test_whatever_the_network_regresses_the_noise_it_means_is_found(prediction, w, stub_ddpm, images):
    """The network is right for one x_0 with the label, and for another without: the guess is their guided ε."""
    x_0_y, x_0_null, t = images(6)[:3], images(6)[3:], torch.tensor([1, 10, 20])

    def oracle(x_t, t_over_T, y):
        labelled = y.sum(dim=1).bool().view(-1, 1, 1, 1)
        x_0 = torch.where(labelled, *(x.repeat(len(x_t) // 3, 1, 1, 1) for x in (x_0_y, x_0_null)))
        t = (t_over_T * 20).round().long()
        eps = ddpm.schedule.predict_eps(x_t, t, x_0)
        return {"eps": eps, "x_0": x_0, "v": ddpm.schedule.velocity(x_0, t, eps), "flow": eps - x_0}[prediction]

    ddpm, x_t = stub_ddpm(oracle, prediction), images(9)[6:]
    eps_y, eps_null = (ddpm.schedule.predict_eps(x_t, t, x_0) for x_0 in (x_0_y, x_0_null))
    weight = w.view(-1, 1, 1, 1) if isinstance(w, torch.Tensor) else w
    want = (1 + weight) * eps_y - weight * eps_null
    torch.testing.assert_close(ddpm.predict_noise(x_t, t, torch.tensor([1, 2, 3]), w=w), want, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "ours"), [("epsilon", "eps"), ("sample", "x_0"), ("v_prediction", "v"), ("flow_prediction", "flow")]
)
def test_the_four_predictions_have_these_names_in_diffusers(name, ours, images, stub_ddpm):
    """The translation page of notebook 10. A last step of theirs, to noise 0, returns the x_0 that the answer means."""
    diffusers = pytest.importorskip("diffusers")
    flow = {"use_flow_sigmas": True} if ours == "flow" else {}
    theirs = diffusers.DPMSolverMultistepScheduler(prediction_type=name, **flow)
    theirs.set_timesteps(2)
    theirs.set_begin_index(1)
    noise = theirs.sigmas[1]
    signal, sigma = (1 - noise, noise) if flow else (1 / (1 + noise**2).sqrt(), noise / (1 + noise**2).sqrt())
    x_0, eps = images(6)[:3], images(6)[3:]
    share_x_0, share_eps = stub_ddpm(prediction=ours)._shares(signal, sigma)
    answer = share_x_0 * x_0 + share_eps * eps
    got = theirs.step(answer, theirs.timesteps[1], signal * x_0 + sigma * eps).prev_sample
    torch.testing.assert_close(got, x_0, rtol=1e-4, atol=1e-4)


def test_the_loss_and_the_guess_tell_the_network_the_same_time(stub_ddpm, images):
    """What the loss has taught the network to read as t, `predict_noise` says to it too: t/T, from nearly 0 up to 1."""
    ddpm, y = stub_ddpm(), torch.arange(20) % 10
    t, _ = ddpm.errors(images(20), y)
    ddpm.predict_noise(images(20), t, y)
    (_, in_the_loss, _), (_, in_the_guess, _) = ddpm.unet.calls
    torch.testing.assert_close(in_the_loss, t / 20)
    torch.testing.assert_close(in_the_guess, t / 20)


def test_the_noise_is_gaussian_and_new_for_each_image(stub_ddpm, images, generator, is_standard_normal):
    ddpm = stub_ddpm()
    x_0 = images(1).expand(50, -1, -1, -1)
    ddpm.loss(x_0, torch.zeros(50).long(), generator=generator)
    eps, _ = eps_and_t(ddpm, x_0, ddpm.unet.calls[0])
    is_standard_normal(eps)
    is_standard_normal((eps[0::2] - eps[1::2]) / 2**0.5)


@pytest.mark.parametrize("batch", [1, 7, 50])
def test_t_is_uniform_over_1_to_T_with_both_ends(batch, stub_ddpm, generator):
    ddpm, n = stub_ddpm(), 7000
    x_0 = torch.zeros(batch, 1, 28, 28)
    for _ in range(n // batch):
        ddpm.loss(x_0, torch.zeros(batch).long(), generator=generator)
    times = torch.cat([t_over_T for _, t_over_T, _ in ddpm.unet.calls]) * 20
    assert (times - times.round()).abs().max() < 1e-5  # what arrives is t/T
    counts = times.round().long().bincount(minlength=21)
    assert len(counts) == 21
    assert counts[0] == 0
    expected = n / 20
    chi_square = ((counts[1:] - expected) ** 2 / expected).sum().item()
    assert chi_square < 19 + 5 * (2 * 19) ** 0.5  # 19 degrees of freedom; stratified draws stay far below


def test_t_is_independent_of_the_place_in_the_batch(stub_ddpm, generator, within):
    ddpm, n = stub_ddpm(), 1000
    for _ in range(n):
        ddpm.loss(torch.zeros(6, 1, 28, 28), torch.zeros(6).long(), generator=generator)
    times = torch.stack([t_over_T for _, t_over_T, _ in ddpm.unet.calls]) * 20
    for place in range(6):
        within(times[:, place].mean(), 10.5, (399 / 12 / n) ** 0.5)


@pytest.mark.parametrize("p_uncond", [0.1, 0.5])
def test_each_row_loses_its_label_on_its_own_with_probability_p_uncond(
    p_uncond, stub_ddpm, soft_rows, generator, within
):
    ddpm, y = stub_ddpm(), soft_rows(40)
    before = y.clone()
    for _ in range(500):
        ddpm.loss(torch.zeros(40, 1, 28, 28), y, p_uncond, generator)
    assert torch.equal(y, before)

    rows = torch.stack([rows for _, _, rows in ddpm.unet.calls])  # (500, 40, 10)
    dropped = (rows == 0).all(dim=2)
    assert (dropped | (rows == y).all(dim=2)).all()  # whole or gone, never scaled
    variance = p_uncond * (1 - p_uncond)
    within(dropped.double().mean(), p_uncond, (variance / 20_000) ** 0.5)
    # Independent rows: the number dropped in a batch of 40 is binomial, so is each place over all batches.
    within(dropped.double().sum(dim=1).var(), 40 * variance, 40 * variance * (2 / 500) ** 0.5)
    assert ((dropped.double().mean(dim=0) - p_uncond).abs() < 5 * (variance / 500) ** 0.5).all()
    # … and independent of t.
    times = torch.stack([t_over_T for _, t_over_T, _ in ddpm.unet.calls])
    within(times[dropped].mean(), times.mean(), times.std() / dropped.sum() ** 0.5)


@pytest.mark.parametrize(("p_uncond", "left"), [(0, 40), (0.0, 40), (1, 0), (1.0, 0)])
def test_p_uncond_0_and_1_are_never_and_always(p_uncond, left, stub_ddpm, soft_rows):
    ddpm = stub_ddpm()
    for _ in range(20):
        ddpm.loss(torch.zeros(40, 1, 28, 28), soft_rows(40), p_uncond)
    assert all(int((rows.sum(dim=1) > 0).sum()) == left for _, _, rows in ddpm.unet.calls)


def test_integer_labels_and_rows_have_the_same_loss(tiny_ddpm, images):
    y = torch.arange(8)
    losses = [
        tiny_ddpm.loss(images(8), labels, generator=torch.Generator().manual_seed(3))
        for labels in (y, torch.eye(10)[:8])
    ]
    assert losses[0] == losses[1]


def test_the_generator_is_the_only_source_of_randomness(tiny_ddpm, images, global_rng_untouched):
    arguments = images(8), torch.arange(8)
    before = copy.deepcopy(arguments)
    with global_rng_untouched():
        losses = [
            tiny_ddpm.loss(*arguments, generator=torch.Generator().manual_seed(seed)).item() for seed in (1, 1, 2)
        ]
    assert losses[0] == losses[1] != losses[2]
    assert all(map(torch.equal, arguments, before))


def test_without_a_generator_torchs_own_is_used(tiny_ddpm, images):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        first = tiny_ddpm.loss(images(8), torch.arange(8))
        second = tiny_ddpm.loss(images(8), torch.arange(8))
        torch.manual_seed(5)
        assert tiny_ddpm.loss(images(8), torch.arange(8)) == first != second


@pytest.mark.parametrize("p_uncond", [-0.1, 1.1, math.nan, None, "0.1"])
def test_bad_p_uncond_is_refused(p_uncond, tiny_ddpm, images):
    with pytest.raises(ValueError, match="p_uncond"):
        tiny_ddpm.loss(images(2), torch.tensor([1, 2]), p_uncond)


@pytest.mark.parametrize("generator", [0, "seed"])
def test_a_bad_generator_is_refused(generator, tiny_ddpm, images):
    with pytest.raises(ValueError, match="generator"):
        tiny_ddpm.loss(images(2), torch.tensor([1, 2]), generator=generator)


# ---------------------------------------------------------------------------- guidance


def test_w_0_is_the_conditional_guess_and_w_minus_1_the_unconditional_one(tiny_ddpm, images):
    x_t, t, y = images(5), torch.tensor([1, 5, 10, 19, 20]), torch.tensor([0, 3, 3, 9, 1])
    with torch.inference_mode():
        eps_y = tiny_ddpm.unet(x_t, t / 20, torch.eye(10)[y])
        eps_null = tiny_ddpm.unet(x_t, t / 20, torch.zeros(5, 10))
        assert torch.equal(tiny_ddpm.predict_noise(x_t, t, y), eps_y)
        for zero in (0, 0.0, torch.tensor(0.0), torch.tensor(0)):
            assert torch.equal(tiny_ddpm.predict_noise(x_t, t, y, w=zero), eps_y)
        for minus_one in (-1, -1.0, torch.tensor(-1.0)):
            assert torch.equal(tiny_ddpm.predict_noise(x_t, t, y, w=minus_one), eps_null)
        assert torch.equal(tiny_ddpm.predict_noise(x_t, t, torch.zeros(5, 10)), eps_null)
        for w in (0.5, 3.0, -0.3):
            guided = tiny_ddpm.predict_noise(x_t, t, y, w=w)
            torch.testing.assert_close(guided, (1 + w) * eps_y - w * eps_null, rtol=1e-4, atol=1e-5)
            assert (guided - eps_y).abs().max() > 1e-5


def test_guidance_is_linear_in_w(stub_ddpm, images):
    ddpm, x_t, t, y = stub_ddpm(odd_network), images(3), torch.tensor([1, 2, 3]), torch.tensor([4, 5, 6])
    at = {w: ddpm.predict_noise(x_t, t, y, w=w) for w in (-3.0, -1.0, 0.0, 1.0, 2.5, 7.0)}
    for w, eps_hat in at.items():
        torch.testing.assert_close(eps_hat, at[0.0] + w * (at[0.0] - at[-1.0]), rtol=1e-4, atol=1e-4)


def test_a_tensor_of_w_is_one_w_for_each_image(tiny_ddpm, images):
    x_t, t, y = images(4), torch.tensor([1, 8, 15, 20]), torch.tensor([4, 5, 6, 7])
    w = torch.tensor([-1.0, 0.0, 1.5, 4.0])
    with torch.inference_mode():
        together = tiny_ddpm.predict_noise(x_t, t, y, w=w)
        for i in range(4):
            alone = tiny_ddpm.predict_noise(x_t[i : i + 1], t[i : i + 1], y[i : i + 1], w=w[i].item())
            torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            tiny_ddpm.predict_noise(x_t, t, y, w=torch.tensor([2, 2, 2, 2])), tiny_ddpm.predict_noise(x_t, t, y, w=2)
        )


@pytest.mark.parametrize(
    ("w", "rows_seen"),
    [
        (0.0, "y"),
        (-1.0, "null"),
        (1.0, "both"),
        (-0.5, "both"),
        (torch.zeros(3), "both"),
        (torch.tensor([-1.0, 0, 2]), "both"),
    ],
)
def test_the_network_is_called_once_and_only_with_the_branches_it_needs(w, rows_seen, stub_ddpm, images, soft_rows):
    ddpm, x_t, t, y = stub_ddpm(odd_network), images(3), torch.tensor([5, 10, 20]), soft_rows(3)
    ddpm.predict_noise(x_t, t, y, w=w)
    ((seen_x_t, t_over_T, rows),) = ddpm.unet.calls
    n = 2 if rows_seen == "both" else 1
    assert torch.equal(seen_x_t, torch.cat([x_t] * n))
    torch.testing.assert_close(t_over_T, torch.tensor([0.25, 0.5, 1.0] * n))
    null = torch.zeros(3, 10)
    assert torch.equal(rows, {"y": y, "null": null, "both": torch.cat([y, null])}[rows_seen])


@pytest.mark.parametrize("w", [0.0, -1.0, 2.0])
def test_a_network_of_v_still_answers_in_eps(w, stub_ddpm, images, generator):
    """Planted: the exact v = √ᾱ·ε − √(1−ᾱ)·x_0 with textbook coefficients. The answer must be the ε it was made of."""
    x_0, t = images(20), torch.arange(1, 21)
    eps = torch.randn(x_0.shape, generator=generator)
    alpha_bar = NoiseSchedule.cosine(20).alpha_bar.double()[t].view(-1, 1, 1, 1)
    x_t = (alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * eps).float()
    v = (alpha_bar.sqrt() * eps - (1 - alpha_bar).sqrt() * x_0).float()
    ddpm = stub_ddpm(lambda x_t, t_over_T, y: v.repeat(len(x_t) // 20, 1, 1, 1), prediction="v")
    torch.testing.assert_close(ddpm.predict_noise(x_t, t, torch.arange(20) % 10, w=w), eps, rtol=0, atol=1e-4)


def test_predict_noise_never_switches_autocast_on(stub_ddpm, images):
    switched_on = []

    def watch(x_t, t_over_T, y):
        switched_on.append(torch.is_autocast_enabled("cpu"))
        return x_t

    stub_ddpm(watch).predict_noise(images(2), torch.tensor([1, 2]), torch.tensor([1, 2]), w=1.0)
    assert switched_on == [False]


def test_a_network_in_bfloat16_still_answers_in_the_type_of_the_images(stub_ddpm, images):
    for prediction in PREDICTIONS:
        ddpm = stub_ddpm(lambda x_t, t_over_T, y: x_t.bfloat16(), prediction)
        assert ddpm.predict_noise(images(2), torch.tensor([1, 2]), torch.tensor([1, 2]), w=1.0).dtype == torch.float32
        assert ddpm.loss(images(2), torch.tensor([1, 2])).dtype == torch.float32


def test_predict_noise_changes_none_of_its_arguments_and_draws_nothing(
    tiny_ddpm, images, soft_rows, global_rng_untouched
):
    arguments = images(3), torch.tensor([1, 2, 3]), soft_rows(3), torch.tensor([1.0, 2.0, 3.0])
    before = copy.deepcopy(arguments)
    with global_rng_untouched():
        first = tiny_ddpm.predict_noise(*arguments)
        assert torch.equal(tiny_ddpm.predict_noise(*arguments), first)
    assert all(map(torch.equal, arguments, before))


@pytest.mark.parametrize(
    "w",
    [math.nan, math.inf, torch.tensor(math.nan), torch.tensor([1.0, math.nan]), torch.tensor([1.0, -math.inf]),
     torch.tensor([1.0]), torch.ones(3), torch.ones(2, 1), "1", None, [1.0, 2.0], 1j, torch.tensor([1j, 1j])],
    ids=str,
)  # fmt: skip
def test_bad_w_is_refused(w, tiny_ddpm, images):
    with pytest.raises(ValueError, match=r"^w\b"):
        tiny_ddpm.predict_noise(images(2), torch.tensor([1, 2]), torch.tensor([1, 2]), w=w)


@pytest.mark.parametrize(
    "t", [torch.tensor([0, 1]), torch.tensor([1, 21]), torch.tensor([1.0, 2.0]), torch.tensor([1]), 1, None], ids=str
)
def test_bad_t_is_refused(t, tiny_ddpm, images):
    with pytest.raises(ValueError, match=r"^t\b"):
        tiny_ddpm.predict_noise(images(2), t, torch.tensor([1, 2]))


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(2, 28, 28),
        torch.zeros(2, 1, 28, 27),
        torch.zeros(2, 3, 28, 28),
        torch.zeros(2, 1, 28, 28).byte(),
        torch.zeros(0, 1, 28, 28),
        None,
    ],
    ids=lambda x: str(getattr(x, "shape", x)),
)
def test_bad_images_are_refused(x, tiny_ddpm):
    with pytest.raises(ValueError, match=r"^x_0\b"):
        tiny_ddpm.loss(x, torch.tensor([1, 2]))
    with pytest.raises(ValueError, match=r"^x_t\b"):
        tiny_ddpm.predict_noise(x, torch.tensor([1, 2]), torch.tensor([1, 2]))


def test_bad_parts_of_a_model_are_refused(tiny_config):
    unet, schedule = UNet(tiny_config), NoiseSchedule.linear()
    with pytest.raises(ValueError, match="unet"):
        DDPM("unet", schedule)
    with pytest.raises(ValueError, match="schedule"):
        DDPM(unet, schedule.alpha_bar)
    with pytest.raises(ValueError, match="prediction"):
        DDPM(unet, schedule, "x_T")


def test_the_recommended_model_draws():
    ddpm = DDPM.recommended()
    assert ddpm.num_classes == 10
    assert ddpm.loss(torch.zeros(2, 1, 28, 28), torch.tensor([1, 2])).isfinite()


def test_any_network_with_the_right_forward_will_do(images):
    class Zero(torch.nn.Module):
        def forward(self, x_t, t_over_T, y):
            assert y.shape == (len(x_t), 10)
            return 0 * x_t

    ddpm = DDPM(Zero(), NoiseSchedule.linear())
    assert (ddpm.predict_noise(images(2), torch.tensor([1, 500]), torch.tensor([0, 9]), w=1.0) == 0).all()


# ---------------------------------------------------------------------------- a network that hears w


@pytest.fixture
def hears_w(make_ddpm, tiny_config):
    """A model whose network hears w up to 2; every call of it is kept in the list."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = UNet(dataclasses.replace(tiny_config, w_max=2.0)).eval()
    calls = []
    unet.register_forward_hook(lambda _, args, out: calls.append(args))
    return DDPM(unet, make_ddpm().schedule, "v").eval(), calls


def test_a_network_that_hears_w_is_called_once_whatever_w_is(hears_w, images):
    ddpm, calls = hears_w
    for w in (0.0, -1.0, 1.5, torch.tensor([0.0, 1.0, 2.0]), 7, torch.tensor(1)):
        calls.clear()
        ddpm.predict_noise(images(3), torch.tensor([1, 10, 20]), torch.arange(3), w)
        ((x_t, _, y, told),) = calls
        assert x_t.shape == (3, 1, 28, 28)
        assert torch.equal(y, torch.eye(10)[:3])
        assert torch.equal(told, torch.as_tensor(w).float().clamp(-1, 2).expand(3))


def test_w_outside_what_it_was_taught_counts_as_the_nearest_end(hears_w, images):
    ddpm, _ = hears_w
    at = images(3), torch.tensor([1, 10, 20]), torch.arange(3)
    for outside, end in ((2.5, 2.0), (1e6, 2.0), (-3.0, -1.0)):
        assert torch.equal(ddpm.predict_noise(*at, outside), ddpm.predict_noise(*at, end))
    assert not torch.equal(ddpm.predict_noise(*at, 1.9), ddpm.predict_noise(*at, 2.0))


def test_more_images_than_fit_into_the_caches_keep_their_own_w(hears_w):
    ddpm, calls = hears_w
    x_t = torch.randn(200, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    t, y, w = torch.arange(200) % 20 + 1, torch.arange(200) % 10, torch.linspace(-1, 2, 200)
    together = ddpm.predict_noise(x_t, t, y, w)
    assert [len(x) for x, *_ in calls] == [128, 72]
    torch.testing.assert_close(together[150:160], ddpm.predict_noise(x_t[150:160], t[150:160], y[150:160], w[150:160]))


def test_a_network_that_hears_w_samples_and_trains_as_any(hears_w, images):
    ddpm, calls = hears_w
    x = sample(ddpm, [1, 2], w=torch.tensor([0.0, 2.0]), steps=3)
    assert x.shape == (2, 1, 28, 28)
    assert [told.tolist() for *_, told in calls] == [[0, 2]] * 3
    calls.clear()
    ddpm.train().loss(images(4), torch.arange(4)).backward()
    assert len(calls) == 1
