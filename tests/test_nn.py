"""Networks: building and reading them, training on samples as published, training on the exact distribution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import ufs
from ufs import Joint, _exact, nn

X1 = {"lr": 4.0, "momentum": 0.9, "nesterov": True, "decay": 1e-2, "clip": 0.5}
X2 = {"lr": 4.0, "momentum": 0.9, "nesterov": True, "decay": 1e-6, "clip": 0.1}


def x1_table(seed: int, eps: float = 1.0) -> Joint:
    """The table of X1, shrunk towards independence."""
    P = np.random.default_rng(seed).random((8, 6))
    P /= P.sum()
    independent = np.outer(P.sum(1), P.sum(0))
    return Joint(independent + eps * (P - independent))


def x2_table(seed: int, rho: float = 0.02) -> Joint:
    rng = np.random.default_rng(seed)
    A = (np.eye(6, 8) + 0.05 * rng.random((6, 8))) * rng.random((6, 8))
    return Joint(((1 - rho) / 48 + rho * A / A.sum()).T)


def x2_network(seed: int) -> torch.nn.Sequential:
    return nn.mlp((8, 4, 3, 6), ["tanh", "sigmoid"], seed=seed, frozen=[0])


def broken() -> torch.nn.Sequential:
    """A network that a diverged training left behind."""
    network = nn.mlp((8, 6), [], seed=0)
    with torch.no_grad():
        network[0].weight[0, 0] = torch.nan
    return network


def scaled(network: torch.nn.Sequential, factor: float) -> torch.nn.Sequential:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(factor)
    return network


class Tupled(torch.nn.Module):
    """Returns more than logits."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(2, 2, dtype=torch.float64)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.head(x), x


def flat(network: torch.nn.Module) -> np.ndarray:
    return torch.cat([p.detach().flatten() for p in network.parameters()]).double().numpy()


def samples(joint: Joint, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    cells = np.random.default_rng(seed).choice(joint.P.size, n, p=joint.P.ravel())
    return np.divmod(cells, joint.P.shape[1])


def posterior(reading: nn.Reading) -> np.ndarray:
    logits = reading.s @ reading.v.T + reading.b
    q = np.exp(logits - logits.max(axis=1, keepdims=True))
    return q / q.sum(axis=1, keepdims=True)


@pytest.fixture
def stream() -> Any:
    """Torch's own stream of random numbers, which nothing here may move."""
    torch.manual_seed(7)
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)


# ---- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("stream")
def test_mlp_has_glorot_weights_from_its_own_seed() -> None:
    network = nn.mlp((200, 100, 6), ["tanh"], seed=3)
    limit = np.sqrt(6 / 300)
    weight = network[0].weight.detach().numpy()
    assert np.abs(weight).max() == pytest.approx(limit, rel=1e-3)
    assert weight.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    assert not network[0].bias.any()
    assert not network[2].bias.any()
    np.testing.assert_array_equal(flat(network), flat(nn.mlp((200, 100, 6), ["tanh"], seed=3)))
    assert not np.allclose(flat(network), flat(nn.mlp((200, 100, 6), ["tanh"], seed=4)))


def test_mlp_freezes_layers_and_takes_a_precision() -> None:
    network = nn.mlp((8, 4, 3, 6), ["relu", "identity"], seed=0, frozen=(0, -1), dtype=torch.float32)
    assert [p.requires_grad for p in network.parameters()] == [False, False, True, True, False, False]
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert [type(m).__name__ for m in network] == ["Linear", "ReLU", "Linear", "Identity", "Linear"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((8,), []), "at least an input and an output"),
        (((8, 0, 6), ["tanh"]), "all positive integers"),
        (((8, 4.0, 6), ["tanh"]), "all positive integers"),
        (((8, 1, 6), []), "0 activations for 1 hidden"),
        (((8, 1, 6), ["softplus"]), "unknown activation 'softplus'"),
        (((8, 1, 6), ["tanh"], 0, (2,)), "frozen layer 2 does not exist"),
        (((8, True, 6), ["tanh"]), "all positive integers"),
        (((8, 1, 6), ["tanh"], 0, (True,)), "frozen layer True does not exist"),
        (((8, 1, 6), ["tanh"], 0, (0.0,)), "frozen layer 0.0 does not exist"),
        (((8, 1, 6), ["tanh"], -1), "seed = -1"),
        (((8, 1, 6), ["tanh"], 0.0), "seed = 0.0"),
        (((8, 1, 6), ["tanh"], True), "seed = True"),
        (((8, 1, 6), ["tanh"], 2**64), "seed = 18446744073709551616"),
        (((8, 1, 6), ["tanh"], "0"), "seed = '0'"),
        (((8, 1, 6), ["tanh"], 0, (), torch.int64), "dtype = torch.int64"),
        (((8, 1, 6), ["tanh"], 0, (), torch.complex128), "dtype = torch.complex128"),
        (((8, 1, 6), ["tanh"], 0, (), np.float64), "dtype = <class 'numpy.float64'>"),
    ],
)
def test_mlp_refuses(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nn.mlp(*arguments[:2], *(arguments[2:] or (0,)))


# ---- reading ---------------------------------------------------------------------------------------------------------


class Residual(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.out = torch.nn.Linear(5, 4)  # declared first, called last
        self.lift, self.block = torch.nn.Linear(3, 5, bias=False), torch.nn.Sequential(torch.nn.Linear(5, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.lift(x))
        return self.out(h + torch.tanh(self.block(h)))


class Convolutional(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3),
            torch.nn.BatchNorm2d(4),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Dropout(0.5),
        )
        self.head = torch.nn.Linear(4 * 36, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.mlp((3, 4, 2, 5), ["tanh", "relu"], seed=1), (7, 3)),
        (lambda: torch.nn.Sequential(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))), (7, 3)),
        (Residual, (7, 3)),
        (Convolutional, (7, 1, 8, 8)),
    ],
)
def test_read_gives_the_logits(make: Callable[[], torch.nn.Module], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = make().double()
    inputs = np.random.default_rng(0).standard_normal(shape)
    reading = nn.read(network, inputs)
    expected = network.eval()(torch.tensor(inputs)).detach().numpy()
    np.testing.assert_allclose(reading.s @ reading.v.T + reading.b, expected, atol=1e-14)
    assert all(array.dtype == np.float64 for array in (reading.s, reading.v, reading.b))


def test_read_gives_the_layers_in_the_order_of_their_calls() -> None:
    torch.manual_seed(0)
    network, inputs = Residual().double(), np.random.default_rng(0).standard_normal((7, 3))
    reading = nn.read(network, inputs)
    lift, block = reading.layers
    np.testing.assert_array_equal(lift.t, inputs)
    assert (lift.W.shape, block.W.shape) == ((3, 5), (5, 5))
    np.testing.assert_array_equal(lift.c, np.zeros(5))
    h = np.maximum(lift.t @ lift.W, 0)
    np.testing.assert_allclose(block.t, h, atol=1e-15)
    np.testing.assert_allclose(reading.s, h + np.tanh(h @ block.W + block.c), atol=1e-15)


def test_read_leaves_the_network_as_it_was() -> None:
    torch.manual_seed(0)
    network = Convolutional()
    network.body[1].eval()
    called = []
    network.head.register_forward_hook(lambda *_: called.append(1))
    modes, mean = [m.training for m in network.modules()], network.body[1].running_mean.clone()
    images = torch.randn(9, 1, 8, 8)
    first = nn.read(network, images)
    assert [m.training for m in network.modules()] == modes
    assert torch.equal(network.body[1].running_mean, mean)
    assert len(network.head._forward_hooks) == len(called) == 1
    np.testing.assert_array_equal(first.s, nn.read(network, images).s)  # no dropout
    first.v[:] = 0
    assert network.head.weight.abs().sum() > 0
    assert all(p.grad is None for p in network.parameters())


class Squeezed(Residual):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) / 2


@pytest.mark.parametrize(
    "network",
    [
        torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Softmax(1)),
        torch.nn.Sequential(torch.nn.Tanh()),
        Squeezed(),
        torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Flatten(0)),
    ],
)
def test_read_refuses_a_network_that_does_not_end_in_a_linear_layer(network: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match="not that of a Linear layer: let it return the logits"):
        nn.read(network, np.eye(3))
    assert not any(m._forward_hooks for m in network.modules())


class Altered(Residual):
    """Ends in a Linear, whose output it then works on in place."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).div_(2)


class Named(Residual):
    """Gives its layers what they work on by name."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(input=torch.relu(self.lift(input=x)))


class TwoHeads(Residual):
    """The output is that of the one that is called first."""

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary = torch.nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.lift(x))
        logits = self.out(h)
        self.seen = self.auxiliary(h)
        return logits


class Compiled(torch.nn.Module):
    def __init__(self, backend: str) -> None:
        super().__init__()
        network = nn.mlp((3, 4, 2, 5), ["tanh", "sigmoid"], seed=0)
        self.body, self.head = torch.compile(network[:4], backend=backend), network[4]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


def test_read_refuses_logits_that_are_altered_in_place() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(inplace=True))
    for one in (Altered(), network):
        with pytest.raises(ValueError, match="as that layer gives them"):
            nn.read(one, np.eye(3))
    hooked = nn.mlp((3, 4), [], seed=0)
    hooked[0].register_forward_hook(lambda layer, entered, left: left + 1)
    with pytest.raises(ValueError, match="as that layer gives them"):
        nn.read(hooked, np.eye(3))


@pytest.mark.parametrize("make", [Named, TwoHeads])
def test_read_finds_the_layer_that_gives_the_logits(make: type[torch.nn.Module]) -> None:
    torch.manual_seed(0)
    network = make().double()
    reading = nn.read(network, np.eye(3))
    np.testing.assert_array_equal(reading.v, network.out.weight.detach())
    expected = network(torch.eye(3).double()).detach().numpy()
    np.testing.assert_allclose(reading.s @ reading.v.T + reading.b, expected, atol=1e-14)
    np.testing.assert_array_equal(reading.layers[0].W.T, network.lift.weight.detach())


def test_read_takes_what_a_diverged_training_left() -> None:
    assert np.isnan(nn.read(broken(), np.eye(8)).v).sum() == 1


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_parts_are_read_and_penalised_like_others(backend: str) -> None:
    joint, x = Joint.from_counts(np.random.default_rng(0).random((3, 5))), torch.eye(3).double()
    plain = nn.mlp((3, 4, 2, 5), ["tanh", "sigmoid"], seed=0)
    penalty = nn.whitening_penalty(joint, 0.1)
    whole = torch.compile(nn.mlp((3, 4, 2, 5), ["tanh", "sigmoid"], seed=0), backend=backend)
    for network in (Compiled(backend), whole):
        network.eval()
        with torch.no_grad():
            network(x)
            assert penalty(network, x).item() == pytest.approx(penalty(plain, x).item(), rel=1e-12)
        one, other = nn.read(network, np.eye(3)), nn.read(plain, np.eye(3))
        np.testing.assert_array_equal(one.s, other.s)
        assert [layer.W.shape for layer in one.layers] == [(3, 4), (4, 2)]
        np.testing.assert_array_equal(one.layers[1].t, other.layers[1].t)


def test_the_penalty_is_on_the_layer_below_the_logits() -> None:
    torch.manual_seed(0)
    network, x = TwoHeads().double(), torch.eye(3).double()
    other = Joint.from_counts([[3, 1, 1], [1, 3, 1], [1, 1, 3]])
    penalty = nn.whitening_penalty(other, 0.1)
    a = network.lift(x)
    p = torch.tensor(other.px)[:, None]
    covariance = ((a - (p * a).sum(0)).T * p[:, 0]) @ (a - (p * a).sum(0)) / 0.1**2 - torch.eye(5)
    expected = 10 * other.mutual_information() * ((covariance**2).sum() / 4 + ((p * a).sum(0) ** 2).sum() / 2)
    assert penalty(network, x).item() == pytest.approx(expected.item(), rel=1e-12)
    with pytest.raises(ValueError, match="not that of a Linear layer"):
        nn.whitening_penalty(other, 0.1)(Squeezed().double(), x)


def test_read_refuses_what_is_no_table_of_features() -> None:
    with pytest.raises(ValueError, match=r"fed with shape \(2, 5, 3\)"):
        nn.read(nn.mlp((3, 4), [], seed=0), np.zeros((2, 5, 3)))
    with pytest.raises(ValueError, match="NaN or infinite"):
        nn.read(nn.mlp((3, 4), [], seed=0), [[1, 2, np.nan]])
    with pytest.raises(ValueError, match=r"shape \(0, 3\)"):
        nn.read(nn.mlp((3, 4), [], seed=0), np.zeros((0, 3)))


# ---- training on samples ---------------------------------------------------------------------------------------------


def keras_sgd(network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int, settings: dict[str, Any]) -> Any:
    """Keras 2.3's update, word for word: a velocity, a global norm, a rate that decays with the step."""
    parameters = list(network.parameters())
    velocity = [torch.zeros_like(p) for p in parameters]
    for step in range(steps):
        loss = torch.nn.functional.cross_entropy(network(x), y)
        gradients = torch.autograd.grad(loss, parameters)
        norm = torch.sqrt(sum((g**2).sum() for g in gradients)) + 1e-6
        rate = settings["lr"] / (1 + settings["decay"] * step)
        for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
            clipped = g * settings["clip"] / norm if norm >= settings["clip"] else g
            velocity[i] = settings["momentum"] * velocity[i] - rate * clipped
            with torch.no_grad():
                p += settings["momentum"] * velocity[i] - rate * clipped if settings["nesterov"] else velocity[i]
    return flat(network)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("settings", [X1, X1 | {"decay": 0.5, "lr": 1.0, "clip": 0.05}])
def test_sgd_is_that_of_keras(settings: dict[str, Any], nesterov: bool) -> None:
    settings = settings | {"nesterov": nesterov}
    x, y = samples(x1_table(0), 500, seed=0)
    network, other = (nn.mlp((8, 1, 6), ["sigmoid"], seed=2) for _ in range(2))
    expected = keras_sgd(other, torch.eye(8).double()[x], torch.tensor(y), 60, settings)
    nn.fit_samples(network, np.eye(8)[x], y, epochs=60, progress=False, **settings)
    np.testing.assert_allclose(flat(network), expected, atol=1e-11)


@pytest.mark.usefixtures("stream")
def test_cells_with_their_counts_stand_for_the_samples() -> None:
    joint = x1_table(1)
    x, y = samples(joint, 2000, seed=1)
    counts = np.bincount(6 * x + y, minlength=48)
    rows, columns = np.divmod(np.arange(48), 6)
    counts.flags.writeable = columns.flags.writeable = False
    network, other = (nn.mlp((8, 1, 6), ["sigmoid"], seed=0) for _ in range(2))
    settings = {"epochs": 100, "progress": False, "record": lambda epoch, net: flat(net), **X1}
    one = nn.fit_samples(network, np.eye(8)[x], y, **settings)
    two = nn.fit_samples(other, np.eye(8)[rows], columns, weights=counts, **settings)
    np.testing.assert_allclose(one.records, two.records, rtol=0, atol=1e-12)
    np.testing.assert_allclose(one.loss, two.loss, rtol=1e-12)
    assert len(one.records) == 101
    assert one.loss.shape == (100,)


@pytest.mark.usefixtures("stream")
def test_batches_depend_on_the_seed_alone() -> None:
    x, y = samples(x1_table(1), 300, seed=1)

    def trained(seed: int, **settings: Any) -> np.ndarray:
        torch.rand(3)
        network = torch.nn.Sequential(nn.mlp((8, 5), [], seed=0), torch.nn.Dropout(0.3), nn.mlp((5, 6), [], seed=1))
        with torch.random.fork_rng(devices=[]):
            nn.fit_samples(
                network, np.eye(8)[x], y, epochs=3, lr=0.05, batch_size=32, seed=seed, progress=False, **settings
            )
        return flat(network)

    with torch.random.fork_rng(devices=[]):
        for settings in ({"momentum": 0.9}, {"optimizer": "adam"}):
            np.testing.assert_array_equal(trained(0, **settings), trained(0, **settings))
            assert not np.allclose(trained(0, **settings), trained(1, **settings))


def test_fit_samples_leaves_the_global_stream_alone_with_dropout_and_batches() -> None:
    torch.manual_seed(3)
    network = torch.nn.Sequential(torch.nn.Linear(8, 5), torch.nn.Dropout(0.3), torch.nn.Linear(5, 6))
    before = torch.get_rng_state()
    nn.fit_samples(network, np.eye(8), np.arange(8) % 6, epochs=2, lr=0.1, batch_size=3, progress=False)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_convolutional_network_trains_in_single_precision() -> None:
    torch.manual_seed(0)
    network = Convolutional().eval()
    rng = np.random.default_rng(0)
    y = rng.integers(10, size=200)
    images = rng.standard_normal((200, 1, 8, 8)) + np.eye(10)[y][:, :8].reshape(-1, 1, 8, 1)
    history = nn.fit_samples(network, images, y, epochs=8, lr=0.01, optimizer="adam", batch_size=50, progress=False)
    assert history.loss[-1] < 0.7 * history.loss[0]
    assert not network.training
    assert network.head.weight.dtype == torch.float32


def test_frozen_layers_stay() -> None:
    network = x2_network(0)
    before = network[0].weight.clone()
    nn.fit_samples(network, np.eye(8), np.arange(8) % 6, epochs=3, lr=1.0, progress=False)
    assert torch.equal(network[0].weight, before)
    nn.fit_exact(network, x2_table(0), penalty=nn.whitening_penalty(x2_table(0), 0.1))
    assert torch.equal(network[0].weight, before)


@pytest.mark.result("X1")
def test_the_published_recipe_finds_the_exact_feature() -> None:
    """X1 from the table's cells: after 200 epochs s is within a few degrees of the exact minimiser on that table."""
    x, y = samples(x1_table(7), 100_000, seed=7)
    counts = np.bincount(6 * x + y, minlength=48)
    joint = Joint.from_counts(counts.reshape(8, 6))
    rows, columns = np.divmod(np.arange(48), 6)
    network, exact = (nn.mlp((8, 1, 6), ["sigmoid"], seed=0) for _ in range(2))
    nn.fit_samples(network, np.eye(8)[rows], columns, weights=counts, epochs=200, progress=False, **X1)
    nn.fit_exact(exact, joint)
    (angle,) = ufs.feature_angles(nn.read(network, np.eye(8)).s, nn.read(exact, np.eye(8)).s, joint.px)
    assert angle < 0.1


@pytest.mark.parametrize("settings", [{"momentum": 0.9}, {"optimizer": "adam"}, {"clip": 0.1}])
def test_a_batch_without_weight_takes_no_step(settings: dict[str, Any]) -> None:
    """Rows that do not count make batches of their own here: as if they were not there."""
    x, y, weights = np.eye(8)[[0, 1, 2, 3]], np.array([0, 1, 2, 3]), [1.0, 0.0, 0.0, 3.0]
    networks = [nn.mlp((8, 6), [], seed=0, dtype=dtype) for dtype in (torch.float64, torch.float32)]
    for network in networks:
        before = flat(network)
        history = nn.fit_samples(
            network,
            x,
            y,
            epochs=5,
            lr=0.1,
            batch_size=1,
            weights=weights,
            progress=False,
            **settings,
        )
        assert np.isfinite(history.loss).all()
        assert history.loss[-1] < history.loss[0]
        step = (flat(network) - before)[:48].reshape(6, 8)
        assert np.all(np.any(step != 0, axis=0) == [True, False, False, True, False, False, False, False])


@pytest.mark.parametrize("unit", [1e308, 1e-308, 1e-320])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_weights_have_no_unit(unit: float, dtype: torch.dtype) -> None:
    runs = []
    for one in (1.0, unit):
        network = nn.mlp((4, 3), [], seed=0, dtype=dtype)
        history = nn.fit_samples(
            network,
            np.eye(4),
            [0, 1, 2, 0],
            epochs=20,
            lr=0.5,
            weights=np.array([1, 0.5, 0.25, 1]) * one,
            progress=False,
        )
        runs.append((flat(network), history.loss))
    for one, other in zip(*runs, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3 if unit == 1e-320 else 1e-6)


def test_progress_is_shown_and_silenced(capfd: pytest.CaptureFixture[str]) -> None:
    for progress in (False, True):
        nn.fit_samples(nn.mlp((2, 2), [], seed=0), np.eye(2), [0, 1], epochs=2, lr=0.1, progress=progress)
        assert ("epoch" in capfd.readouterr().err) is progress


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0.0, 1.0]}, "integer classes"),
        ({"labels": [True, False]}, "integer classes"),
        ({"labels": [0, 1, 1]}, "one label for each row"),
        ({"labels": [0, -1]}, r"labels\[1\] = -1"),
        ({"labels": [0, 2]}, "label 2 needs 3 logits"),
        ({"inputs": [[1, np.inf], [0, 1]]}, "NaN or infinite"),
        ({"weights": [1, -1]}, r"weights\[1\] = -1.0 is negative"),
        ({"weights": [0, 0]}, "without mass"),
        ({"weights": [1, 1, 1]}, "one for each of 2 rows"),
        ({"lr": 0}, "lr = 0"),
        ({"labels": ["a", "b"]}, "labels is of type <U1: it must hold real numbers"),
        ({"inputs": [["a"], ["b"]]}, "inputs is of type <U1: it must hold real numbers"),
        ({"inputs": np.eye(2) * 1j}, "inputs is of type complex128"),
        ({"inputs": torch.eye(2) * 1j}, "inputs have type torch.complex64"),
        ({"inputs": np.ma.array(np.eye(2), mask=[[0, 0], [1, 0]])}, r"inputs\[1, 0\] is masked"),
        ({"labels": np.ma.array([0, 1], mask=[0, 1])}, r"labels\[1\] is masked"),
        ({"inputs": 1e300 * np.eye(2), "network": nn.mlp((2, 2), [], 0, dtype=torch.float32)}, "infinite entries in"),
        ({"labels": np.array([0, 2**64 - 1], np.uint64)}, r"labels\[1\] = 18446744073709551615: .* below 2"),
        ({"epochs": 0}, "epochs = 0"),
        ({"epochs": 1.5}, "epochs = 1.5"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"clip": -1.0}, "clip = -1.0"),
        ({"decay": -0.1}, "decay = -0.1"),
        ({"optimizer": "lamb"}, "optimizer = 'lamb'"),
        ({"decay": np.nan}, "decay = nan"),
        ({"decay": np.inf}, "decay = inf"),
        ({"decay": "0.1"}, "decay = '0.1'"),
        ({"decay": True}, "decay = True"),
        ({"clip": np.nan}, "clip = nan"),
        ({"momentum": 1.5}, "momentum = 1.5"),
        ({"momentum": 1.0}, "momentum = 1.0"),
        ({"momentum": -0.1}, "momentum = -0.1"),
        ({"momentum": np.nan}, "momentum = nan"),
        ({"momentum": "0.9"}, "momentum = '0.9'"),
        ({"nesterov": True}, "nesterov needs a momentum above 0"),
        ({"seed": 1.5}, "seed = 1.5"),
        ({"seed": True}, "seed = True"),
        ({"seed": -1}, "seed = -1"),
        ({"seed": 2**64}, "seed = 18446744073709551616"),
        ({"weights": [1, np.nan]}, r"weights\[1\] = nan is not finite"),
        ({"network": Tupled()}, "returns a tuple: let it return logits"),
        ({"optimizer": "adam", "momentum": 0.9}, "'adam' without momentum"),
        ({"network": nn.mlp((2, 2), [], seed=0, frozen=[0])}, "no parameter requires a gradient"),
        ({"network": torch.nn.Sequential(nn.mlp((2, 2), [], seed=0), torch.nn.Flatten(0))}, r"shape \(4,\)"),
    ],
)
def test_fit_samples_refuses(change: dict[str, Any], message: str) -> None:
    arguments = {"network": nn.mlp((2, 2), [], seed=0), "inputs": np.eye(2), "labels": [0, 1], "epochs": 1, "lr": 0.1}
    arguments |= {"progress": False} | change
    with pytest.raises(ValueError, match=message):
        nn.fit_samples(arguments.pop("network"), arguments.pop("inputs"), arguments.pop("labels"), **arguments)


def test_a_loss_that_blows_up_is_told() -> None:
    network = nn.mlp((2, 3, 2), ["relu"], seed=0)
    with pytest.raises(FloatingPointError, match="lower lr, or set clip"):
        nn.fit_samples(network, 1e200 * np.eye(2), [0, 1], epochs=9, lr=1e200, progress=False)


# ---- training on the exact distribution ------------------------------------------------------------------------------


@pytest.mark.result("X1")
@pytest.mark.parametrize("seed", range(10))
def test_x1_has_its_minimum_for_free_and_for_bounded_features(seed: int) -> None:
    joint = x1_table(seed)
    for activation in ("identity", "sigmoid"):
        network = nn.mlp((8, 1, 6), [activation], seed=seed)
        training = nn.fit_exact(network, joint)
        assert training.gradient < 1e-10
        assert training.newton_step < 1e-6
        reading = nn.read(network, np.eye(8))
        q = posterior(reading)
        assert training.loss == pytest.approx(ufs.kl_divergence(joint.P, joint.px[:, None] * q), rel=1e-12)
        # Stationarity in b and in v: Q has the marginal of Y, and the conditional means of s.
        np.testing.assert_allclose(joint.px @ q, joint.py, atol=1e-12)
        np.testing.assert_allclose(reading.s.T @ (joint.px[:, None] * q - joint.P), 0, atol=1e-12)


def test_a_sigmoid_reaches_what_a_free_feature_reaches() -> None:
    """On a finite alphabet every feature is a sigmoid one up to an affine map, which v and b undo."""
    for seed in (0, 1, 2, 4):
        losses = [
            nn.fit_exact(nn.mlp((8, 1, 6), [name], seed=seed), x1_table(seed)).loss for name in ("identity", "sigmoid")
        ]
        assert losses[0] == pytest.approx(losses[1], rel=1e-13)


@pytest.mark.parametrize("eps", [1e-1, 1e-2, 1e-3, 1e-4])
def test_weak_dependence_is_trained_as_well_as_strong(eps: float) -> None:
    """The angle to f_1 is of order ε, so at the weakest the distance to the minimum has to be far smaller still."""
    joint = x1_table(1, eps)
    network = nn.mlp((8, 1, 6), ["identity"], seed=0)
    training = nn.fit_exact(network, joint)
    modes = ufs.modes(joint)
    (angle,) = ufs.feature_angles(nn.read(network, np.eye(8)).s, modes.f[:, :1], joint.px)
    assert 0.05 * eps < angle < 0.5 * eps
    assert training.loss == pytest.approx((modes.sigma[1:] ** 2).sum() / 2, rel=2 * eps)


@pytest.mark.parametrize("seed", range(3))
def test_a_loose_tolerance_still_settles(seed: int) -> None:
    """At weak dependence the gradient is small long before the feature has turned."""
    joint = x1_table(seed, 1e-3)
    s = []
    for tolerance in (1e-4, 1e-10):
        network = nn.mlp((8, 1, 6), ["identity"], seed=0)
        nn.fit_exact(network, joint, tolerance=tolerance)
        s.append(nn.read(network, np.eye(8)).s)
    assert ufs.feature_angles(*s, joint.px)[0] < 1e-5


@pytest.mark.parametrize("seed", range(3))
def test_a_bent_path_of_equal_loss_is_no_direction_to_follow(seed: int) -> None:
    assert nn.fit_exact(nn.mlp((8, 1, 6), ["sigmoid"], seed=seed), x1_table(seed, 0.1)).gradient < 1e-14


def test_a_soft_valley_with_stiff_walls_is_followed() -> None:
    """The rotation of weakly dependent features, held at a small radius."""
    joint = x2_table(0, 0.002)
    assert nn.fit_exact(x2_network(0), joint, penalty=nn.whitening_penalty(joint, 0.02)).newton_step < 1e-6


def test_more_features_than_modes_are_no_cause_for_alarm() -> None:
    """Where σ_2 = 0 the second feature is free: flat directions, and weights that stay."""
    px, py = np.array([0.2, 0.3, 0.5]), np.array([0.3, 0.3, 0.4])
    f, g = np.array([1.0, 1.0, -1.0]), np.array([1.0, -1.0, 0.0])
    joint = Joint(np.outer(px, py) * (1 + 0.3 * np.outer(f, g)))
    for activation in ("identity", "sigmoid"):
        assert nn.fit_exact(nn.mlp((3, 2, 3), [activation], seed=0), joint).loss < 1e-15
    independent = Joint(np.outer(px, py))
    assert nn.fit_exact(nn.mlp((3, 2, 3), ["sigmoid"], seed=0), independent).loss < 1e-15


def test_enough_features_reproduce_the_distribution() -> None:
    joint = x1_table(3)
    for k in (5, 7):
        network = nn.mlp((8, k, 6), ["identity"], seed=0)
        assert nn.fit_exact(network, joint).loss < 1e-25
        np.testing.assert_allclose(posterior(nn.read(network, np.eye(8))), joint.P / joint.px[:, None], atol=1e-12)


def test_a_saddle_is_left() -> None:
    """Where v = 0 and s = 0 there is no gradient in v or s, and no minimum."""
    joint = x1_table(1)
    network = nn.mlp((8, 1, 6), ["identity"], seed=0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network[2].bias.copy_(torch.tensor(np.log(joint.py)))
    training = nn.fit_exact(network, joint)
    assert training.gradients[0] < 1e-15
    expected = nn.fit_exact(nn.mlp((8, 1, 6), ["identity"], seed=0), joint).loss
    assert training.loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "activations", [["identity"] * 2, ["identity"] * 3, ["sigmoid"], ["tanh"], ["tanh"] * 2], ids="-".join
)
def test_a_start_at_zero_is_left_in_whatever_order_the_loss_falls(activations: list[str]) -> None:
    """In a chain of d Linear layers that are zero, the derivatives of the loss vanish up to order d - 1."""
    joint = x1_table(1)
    network = scaled(nn.mlp((8, *[2] * len(activations), 6), activations, seed=0), 0)
    training = nn.fit_exact(network, joint)
    assert training.gradient < 1e-10
    assert training.loss < 0.5 * joint.mutual_information()


def test_a_layer_that_is_silent_everywhere_is_no_minimum_and_silent_units_are_counted() -> None:
    network, one, frozen = (nn.mlp((8, 3, 6), ["relu"], seed=3, frozen=frozen) for frozen in ((), (), [0]))
    with torch.no_grad():
        network[0].bias.fill_(-9)
        for other in (one, frozen):
            other[0].bias[1] = -9
    with pytest.raises(
        nn.NotConverged, match="all units of a hidden layer are 0 for every x, so that nothing"
    ) as caught:
        nn.fit_exact(network, x1_table(1))
    assert caught.value.training.silent == 3
    with pytest.raises(nn.NotConverged, match="all units of a hidden layer are 0"):
        nn.fit_exact(scaled(nn.mlp((8, 3, 6), ["relu"], seed=1), 0), x1_table(1))
    assert nn.fit_exact(one, x1_table(1)).silent == 1
    assert nn.fit_exact(frozen, x1_table(1)).silent == 0  # nothing that training could do about it


def test_rectifiers_may_be_silent_at_some_x() -> None:
    network = nn.mlp((8, 2, 6), ["relu"], seed=1)
    assert nn.fit_exact(network, x1_table(1)).silent == 0
    s = nn.read(network, np.eye(8)).s
    assert np.any(s == 0)
    assert np.all(np.any(s > 0, axis=0))


def test_the_table_goes_to_the_device_of_the_network() -> None:
    class Elsewhere(torch.nn.Module):
        """On a device that holds no numbers; the logits are let back so that they can be looked at."""

        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Linear(2, 2, dtype=torch.float64, device="meta")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros(self.head(x).shape, dtype=torch.float64)

    joint = Joint([[0.3, 0.2], [0.2, 0.3]])
    objective = _exact._Objective(Elsewhere(), joint, torch.eye(2, device="meta"), None)
    assert objective.target.device.type == "meta"
    assert objective.point(np.zeros(6)).device.type == "meta"


def test_a_frozen_block_is_left_and_the_other_is_at_its_own_minimum() -> None:
    joint = x1_table(2, 0.01)
    network = nn.mlp((8, 2, 6), ["identity"], seed=0, frozen=[0])
    s = nn.read(network, np.eye(8)).s
    nn.fit_exact(network, joint)
    reading = nn.read(network, np.eye(8))
    np.testing.assert_array_equal(reading.s, s)
    v, _ = ufs.optimal_weights(s, joint)
    centred = reading.v - joint.py @ reading.v
    assert np.linalg.norm(centred - v) < 0.02 * np.linalg.norm(v)


def test_the_history_is_whole() -> None:
    network = nn.mlp((8, 1, 6), ["sigmoid"], seed=0)
    start = flat(network)
    training = nn.fit_exact(network, x1_table(0), record=lambda step, net: (step, flat(net)))
    steps, weights = zip(*training.records, strict=True)
    assert list(steps) == list(range(training.steps + 1))
    assert len(training.losses) == len(training.gradients) == len(training.weight_norms) == training.steps + 1
    np.testing.assert_array_equal(weights[0], start)
    np.testing.assert_array_equal(weights[-1], flat(network))
    np.testing.assert_allclose(training.weight_norms, np.linalg.norm(weights, axis=1), rtol=1e-12)
    assert training.losses[-1] == training.loss + training.penalty
    assert (np.diff(training.losses) <= 1e-15).all()
    assert training.gradients[-1] == training.gradient


def test_the_gradient_and_the_hessian_are_those_of_the_loss() -> None:
    joint, network = x2_table(0), x2_network(0)
    objective = _exact._Objective(network, joint, torch.eye(8).double(), nn.whitening_penalty(joint, 0.3))
    theta, h = objective.weights(), 1e-5
    gradient, hessian = objective.value_and_gradient(theta)[1], objective.hessian(theta)
    for i, unit in enumerate(h * np.eye(len(theta))):
        (up, g_up), (down, g_down) = (objective.value_and_gradient(theta + sign * unit) for sign in (1, -1))
        assert gradient[i] == pytest.approx((up - down) / (2 * h), abs=1e-8)
        np.testing.assert_allclose(hessian[i], (g_up - g_down) / (2 * h), atol=1e-7)


def test_the_network_keeps_its_modes_and_sparse_tables_are_taken() -> None:
    import scipy.sparse as sp

    joint = x1_table(0)
    networks = [torch.nn.Sequential(nn.mlp((8, 1, 6), ["sigmoid"], seed=0), torch.nn.Dropout(0.5)) for _ in range(2)]
    losses = [nn.fit_exact(net, j).loss for net, j in zip(networks, (joint, Joint(sp.csr_array(joint.P))), strict=True)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    assert all(module.training for module in networks[0].modules())


# ---- where there is no minimum ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["identity", "sigmoid"])
def test_separable_data_have_no_minimum(activation: str) -> None:
    joint = Joint(np.array([[0.3, 0.0], [0.0, 0.3], [0.4, 0.0]]))
    network = nn.mlp((3, 1, 2), [activation], seed=0)
    with pytest.raises(nn.NotConverged, match="still growing, small as the gradient is") as caught:
        nn.fit_exact(network, joint)
    training = caught.value.training
    assert training.gradient < 1e-10
    assert training.weight_norm > 2 * training.weight_norms[0]
    assert flat(network) @ flat(network) == pytest.approx(training.weight_norm**2)


@pytest.mark.parametrize("seed", range(4))
def test_flat_directions_beyond_the_symmetries_are_found(seed: int) -> None:
    """No hidden layer: one weight runs off, and both its slope and its curvature end in rounding."""
    with pytest.raises(nn.NotConverged, match="still growing, small as the gradient is"):
        nn.fit_exact(nn.mlp((2, 2), [], seed=seed), Joint([[0.5, 0.0], [0.1, 0.4]]))


@pytest.mark.parametrize(("sizes", "factor"), [((2, 1, 2), 3), ((2, 2), 3), ((2, 2), 30)])
def test_no_start_is_so_large_that_an_infimum_passes_for_a_minimum(sizes: tuple[int, ...], factor: float) -> None:
    corner = Joint([[0.5, 0.0], [0.25, 0.25]])
    for seed in range(4):
        network = scaled(nn.mlp(sizes, ["identity"] * (len(sizes) - 2), seed), factor)
        with pytest.raises(nn.NotConverged) as caught:
            nn.fit_exact(network, corner, max_steps=300)
        assert caught.value.training.loss < 1e-12


def test_saturated_units_are_told_wherever_they_started() -> None:
    for factor in (30, 100):
        with pytest.raises(nn.NotConverged, match="units are saturated: only smaller weights would make a difference"):
            nn.fit_exact(scaled(nn.mlp((2, 1, 2), ["sigmoid"], 0), factor), Joint([[0.5, 0.0], [0.25, 0.25]]))


def test_a_minimum_with_a_vanishing_probability_is_one() -> None:
    """Two rows pin the weights; what they say of a third, far away, is as good as certain."""
    joint = Joint([[0.2, 0.1], [0.1, 0.2], [0.4, 0.0]])
    training = nn.fit_exact(nn.mlp((1, 2), [], seed=0), joint, [[0.0], [-1.0], [60.0]])
    assert training.gradient < 1e-10
    assert training.loss < 1e-20


def test_a_zero_in_the_table_is_not_reached_by_enough_features() -> None:
    P = x1_table(0).P.copy()
    P[0, 1] = 0
    joint = Joint.from_counts(P)
    assert nn.fit_exact(nn.mlp((8, 1, 6), ["identity"], seed=0), joint).gradient < 1e-10
    with pytest.raises(nn.NotConverged, match="still growing"):
        nn.fit_exact(nn.mlp((8, 5, 6), ["identity"], seed=0), joint, max_steps=300)


def test_too_few_steps_are_told() -> None:
    with pytest.raises(nn.NotConverged, match="after 6 steps: all steps are used") as caught:
        nn.fit_exact(nn.mlp((8, 1, 6), ["sigmoid"], seed=0), x1_table(0), max_steps=6)
    assert caught.value.training.steps == 6
    assert caught.value.training.gradient > 1e-10


def test_a_saturated_hidden_layer_is_no_solution() -> None:
    """X2 without a penalty: the gradient falls below the tolerance because the units have become steps."""
    with pytest.raises(nn.NotConverged, match="still growing") as caught:
        nn.fit_exact(x2_network(1), x2_table(1), max_steps=3000)
    training = caught.value.training
    assert training.weight_norm > 10 * training.weight_norms[0]
    assert training.gradient < 1e-10


@pytest.mark.result("X2")
@pytest.mark.parametrize("rho", [0.2, 0.02, 0.002])
@pytest.mark.parametrize(("radius", "mean"), [(0.5, 0.0), (0.05, 0.5)])
def test_the_whitening_penalty_gives_x2_a_minimum(rho: float, radius: float, mean: float) -> None:
    joint, network = x2_table(1, rho), x2_network(1)
    training = nn.fit_exact(network, joint, penalty=nn.whitening_penalty(joint, radius, mean))
    assert training.gradient < 1e-10
    assert 0 <= training.penalty < 1e-2 * training.loss
    layer = nn.read(network, np.eye(8)).layers[-1]
    a = layer.t @ layer.W + layer.c
    np.testing.assert_allclose(joint.px @ a, mean, atol=0.2 * radius)
    covariance = (a - joint.px @ a).T * joint.px @ (a - joint.px @ a)
    np.testing.assert_allclose(covariance / radius**2, np.eye(3), atol=0.1 * radius)


def test_the_penalty_is_what_its_docstring_says() -> None:
    joint, network = x2_table(1), x2_network(1)
    layer = nn.read(network, np.eye(8)).layers[-1]
    a = layer.t @ layer.W + layer.c
    mean = joint.px @ a
    excess = np.cov(a.T, bias=True, aweights=joint.px) / 0.3**2 - np.eye(3)
    expected = 7 * joint.mutual_information() * ((excess**2).sum() / 4 + ((mean - 0.2) ** 2).sum() / 2)
    penalty = nn.whitening_penalty(joint, 0.3, mean=0.2, strength=7)
    assert penalty(network, torch.eye(8).double()).item() == pytest.approx(expected, rel=1e-12)
    assert not any(m._forward_hooks for m in network.modules())


@pytest.mark.result("X2")
def test_at_the_penalised_minimum_the_hidden_layer_is_the_papers() -> None:
    """R12's W from the trained v and b: within a relative error that falls with the dependence and the radius."""
    errors = []
    for rho, radius in [(0.2, 0.5), (0.02, 0.15), (0.002, 0.05)]:
        joint, network = x2_table(0, rho), x2_network(0)
        nn.fit_exact(network, joint, penalty=nn.whitening_penalty(joint, radius))
        reading = nn.read(network, np.eye(8))
        W, _ = ufs.hidden_layer_weights(reading.v, reading.b, reading.layers[-1].t, joint, "sigmoid")
        errors.append(np.linalg.norm(W - reading.layers[-1].W) / np.linalg.norm(W))
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
    assert errors[2] < 0.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": nn.mlp((8, 6), [], seed=0, dtype=torch.float32)}, r"network.double\(\)"),
        ({"network": nn.mlp((8, 6), [], seed=0, frozen=[0])}, "no parameter requires a gradient"),
        ({"network": nn.mlp((8, 5), [], seed=0)}, r"returns shape \(8, 5\)"),
        ({"network": nn.mlp((8, 7), [], seed=0)}, r"need the shape \(8, 6\)"),
        ({"inputs": np.ones((7, 8))}, "one for each of the 8 symbols of X"),
        ({"tolerance": 0.0}, "tolerance = 0.0"),
        ({"max_steps": 0}, "max_steps = 0"),
        ({"max_steps": 1e3}, "max_steps = 1000.0"),
        ({"network": broken()}, "NaN or infinite: start from other weights"),
        ({"network": Tupled(), "joint": Joint([[0.3, 0.2], [0.2, 0.3]])}, "returns a tuple: let it return logits"),
        ({"joint": np.full((8, 6), 1 / 48)}, "a ndarray is no Joint"),
        ({"penalty": nn.whitening_penalty(x1_table(0), 0.1)}, "single Linear layer"),
    ],
)
def test_fit_exact_refuses(change: dict[str, Any], message: str) -> None:
    arguments = {"network": nn.mlp((8, 6), [], seed=0), "joint": x1_table(0)} | change
    with pytest.raises(ValueError, match=message):
        nn.fit_exact(**arguments)


@pytest.mark.parametrize("setting", [{"radius": 0.0}, {"radius": 1.0, "strength": -1.0}])
def test_the_penalty_refuses(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be a positive number"):
        nn.whitening_penalty(x1_table(0), **setting)


@pytest.mark.parametrize("mean", [np.nan, np.inf, True, "0", [0.0, 1.0], None])
def test_the_penalty_refuses_a_mean_that_is_no_number(mean: Any) -> None:
    with pytest.raises(ValueError, match=r"mean = .*: it must be a finite number"):
        nn.whitening_penalty(x1_table(0), 1.0, mean=mean)


def test_a_penalty_that_is_no_finite_number_is_refused() -> None:
    for value in (torch.tensor(torch.nan), torch.zeros(2), 1.0):
        with pytest.raises(ValueError, match="at the start: let it return a finite scalar tensor"):
            nn.fit_exact(nn.mlp((8, 6), [], seed=0), x1_table(0), penalty=lambda network, x, value=value: value)


class ZeroHeads(torch.nn.Module):
    """The output is that of the first one."""

    def __init__(self):
        super().__init__()
        self.head, self.auxiliary = (torch.nn.Linear(3, 3) for _ in range(2))
        for parameter in self.parameters():
            torch.nn.init.zeros_(parameter)

    def forward(self, x):
        logits = self.head(x)
        self.auxiliary(2 * x)
        return logits


def test_of_two_heads_that_are_zero_the_one_that_gives_the_output_is_read():
    reading = nn.read(ZeroHeads(), np.eye(3))
    np.testing.assert_array_equal(reading.s, np.eye(3))
    np.testing.assert_array_equal(reading.layers[0].t, 2 * np.eye(3))
