"""Files of fitted estimators: they answer as before bit for bit, hold no pickle, and refuse what they are not."""

import json
import math
import zipfile
from typing import get_args

import numpy as np
import pytest
import torch

import mi_estimators as mi
from mi_estimators.estimation import arguments, packing
from mi_estimators.estimation.critics import Bilinear, Concatenated, Sum
from mi_estimators.estimation.transforms import TRANSFORMS
from tests.mi_estimators.shared import seeded

FAST = dict(steps=20, hidden=8, batch_size=64, folds=2)
LAW = mi.laws.Gaussian(0.8, 2)


def sample(n, seed=0):
    return LAW.sample(n, seeded(seed))


def saved(folder, *rows, **settings):
    """Fit the rows, those of the law unless given, save the fit, and return it."""
    fitted = mi.MIEstimator(**FAST | settings).fit(*(rows or sample(200)))
    fitted.save(folder / "fit.npz")
    return fitted


def load(folder, *critic, **settings):
    return mi.MIEstimator.load(folder / "fit.npz", *critic, **settings)


def same_answers(loaded, fitted, fresh=None):
    """Compare every answer to the last bit; `repr` shows all digits, and infinities and NaN as themselves."""
    fresh = sample(50, seed=1) if fresh is None else fresh
    assert torch.equal(loaded.score_matrix(*fresh), fitted.score_matrix(*fresh))
    assert torch.equal(loaded.pointwise(*fresh), fitted.pointwise(*fresh))

    for a, b in (
        (loaded.estimate(), fitted.estimate()),
        (loaded.estimate(*fresh), fitted.estimate(*fresh)),
    ):
        assert repr(vars(a)) == repr(vars(b))

    assert loaded.seed_ == fitted.seed_
    folds = zip(loaded.folds_, fitted.folds_, strict=True)
    assert all(torch.equal(ours[2], theirs[2]) for ours, theirs in folds)


SETTINGS = [
    *({"critic": name} for name in mi.CRITICS),
    *({"anchor": name} for name in get_args(arguments.AnchorName)),
    *({"transform": name} for name in TRANSFORMS),
    {"estimator": "nwj", "seed": None},
    {"device": torch.device("cpu"), "learning_rate": 1e-2},
    {"discrete": None, "learning_rate": np.float32(1e-2)}
    | {name: np.int64(8) for name in ("steps", "batch_size", "hidden", "negatives", "patience")},
]


@pytest.mark.parametrize("changes", SETTINGS, ids=str)
def test_round_trip(changes, tmp_path):
    """A loaded estimator answers as the one that was saved."""
    fitted = saved(tmp_path, **changes)
    loaded = load(tmp_path)
    same_answers(loaded, fitted)

    assert loaded.get_params() == fitted.get_params()

    again = (fit.set_params(seed=fitted.seed_).fit(*sample(200)) for fit in (loaded, fitted))
    assert len({repr(vars(fit.estimate_)) for fit in again}) == 1


def test_many_columns(tmp_path):
    """Very many columns are read as before."""
    x, y = torch.randn(100, 300), torch.randn(100, 2)
    fitted = saved(tmp_path, x, y)
    same_answers(load(tmp_path), fitted, (x, y))


def test_tables(tmp_path):
    """Labels and tables are read as before."""
    pandas = pytest.importorskip("pandas")
    generator = np.random.default_rng(0)
    label = generator.choice(["red", "grün", "bleu"], 200)
    table = pandas.DataFrame({"noise": generator.normal(size=200), "label": label, "one": 1.0})
    value = generator.normal(size=200) + 4 * (label == "red")
    fitted = mi.MIEstimator(**FAST).fit(table, value)
    fitted.save(str(tmp_path / "fit"))
    loaded = mi.MIEstimator.load(str(tmp_path / "fit"))

    assert torch.equal(loaded.pointwise(table, value), fitted.pointwise(table, value))
    assert str(loaded.estimate_) == str(fitted.estimate_)
    with pytest.raises(ValueError, match="x: expected labels seen in fit, got black"):
        loaded.score_matrix(table.assign(label="black"), value)


def test_classifier(tmp_path):
    """A classifier of labels answers as before."""
    value, _ = sample(200)
    label = ["high" if number > 0 else "low" for number in value[:, 0].tolist()]
    fitted = saved(tmp_path, value, label)

    assert fitted.estimate_.expert == "classifier"
    same_answers(load(tmp_path), fitted, (value, label))


def test_shaped_rows(tmp_path):
    """Rows in their own shape are read as before."""

    class Pictures(torch.nn.Module):
        def __init__(self, shape, columns):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(math.prod(shape), columns))

        def forward(self, x, y):
            return x.flatten(1) @ self.weight @ y.mT

    pictures = torch.randn(
        200,
        2,
        3,
        3,
        generator=seeded(),
    )
    rows = pictures, pictures.sum((1, 2, 3))
    fitted = saved(tmp_path, *rows, critic=Pictures)
    fresh = [side[:20] for side in rows]

    same_answers(load(tmp_path, Pictures), fitted, fresh)
    torch.testing.assert_close(
        fitted.pointwise(*fresh),
        fitted.score_matrix(*fresh).diag(),
        rtol=1e-4,
        atol=1e-5,
    )


class Product(torch.nn.Module):
    """A user's critic: x·W·y, which knows nothing of batches."""

    def __init__(self, dim_x=2, dim_y=2):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(dim_x, dim_y))
        self.register_buffer("count", torch.tensor(3))

    def forward(self, x, y):
        assert x.dim() == y.dim() == 2
        return x @ self.weight @ y.mT


def beside_ours(dim_x, dim_y):
    return Sum(Bilinear(dim_x, dim_y), Product(dim_x, dim_y))


def of_our_parts(dim_x, dim_y):
    return Sum(Bilinear(dim_x, dim_y), Concatenated(dim_x, dim_y, 5))


@pytest.mark.parametrize(
    "critic",
    [Product, Product(), beside_ours, of_our_parts],
    ids=["class", "module", "beside_ours", "of_our_parts"],
)
@pytest.mark.parametrize("anchor", ["copula", "none"])
def test_own_critic(critic, anchor, tmp_path):
    """A user's critic is made again by what made it."""
    fitted = saved(tmp_path, critic=critic, anchor=anchor)
    before = torch.get_rng_state()
    same_answers(load(tmp_path, critic), fitted)

    assert torch.equal(before, torch.get_rng_state())
    with pytest.raises(
        ValueError, match=r"critic: expected the function or module that .* got None"
    ):
        load(tmp_path)


class Wider(Product):
    def __init__(self, dim_x, dim_y):
        super().__init__(dim_x + 1, dim_y)

    def forward(self, x, y):
        return x @ self.weight[1:] @ y.mT


@pytest.mark.parametrize(
    ("critic", "message"),
    [
        (Wider, "what made the Product that was saved, got Wider"),
        (
            lambda a, b: Sum(Product(), Product()),
            "the critic that was saved, got one with more parts",
        ),
        (lambda a, b: Bilinear(a, b), "what made the Product that was saved, got one without it"),
        (lambda a, b: 3, "a function .* got one that returns int"),
    ],
)
def test_other_critic(critic, message, tmp_path):
    """Another critic than the one saved is refused."""
    saved(tmp_path, critic=Product, anchor="none")
    with pytest.raises(ValueError, match=f"critic: expected {message}"):
        load(tmp_path, critic)


def test_other_shape(tmp_path):
    """A critic of another shape is refused."""

    class Product(torch.nn.Bilinear):
        def __init__(self):
            super().__init__(2, 2, 1)

        def forward(self, x, y):
            return x @ self.weight[0] @ y.mT

    saved(tmp_path, critic=globals()["Product"], anchor="none")
    with pytest.raises(
        ValueError, match="critic: expected what made the Product that was saved, got"
    ):
        load(tmp_path, Product())


def test_needless_critic(tmp_path):
    """A critic for a file that needs none is refused."""
    saved(tmp_path)
    with pytest.raises(ValueError, match=r"critic: expected None, since .* has 'gated'"):
        load(tmp_path, Product)
    with pytest.raises(ValueError, match="device: expected"):
        load(tmp_path, device="gpu")

    assert load(tmp_path, device="cpu").device == "cpu"


def test_changed_settings(tmp_path):
    """Settings changed after fit do not hide whose critic it is."""
    fitted = mi.MIEstimator(critic=Product, anchor="none", **FAST).fit(*sample(200))
    fitted.set_params(critic="separable").save(tmp_path / "fit.npz")

    with pytest.raises(ValueError, match="critic: expected the function or module"):
        load(tmp_path)

    loaded = load(tmp_path, Product)
    same_answers(loaded, fitted)

    assert loaded.critic == "separable"


def test_not_fitted(tmp_path):
    """Nothing is saved before fit."""
    with pytest.raises(ValueError, match="expected a fitted estimator"):
        mi.MIEstimator().save(tmp_path / "fit.npz")
    assert not list(tmp_path.iterdir())


def broken_header(file):
    np.savez(file, header=np.array(json.dumps({"format": "another"})))


def header_that_is_no_json(file):
    np.savez(file, header=np.array("{"))


def other_arrays(file):
    np.savez(file, x=np.ones(3))


def single_array(file):
    np.save(file, np.ones(3))


def pickle_inside(file):
    np.savez(
        file,
        header=np.array({"format": 1}, dtype=object),
        allow_pickle=True,
    )


def foreign_class(file):
    packed = {"dataclass": "os.path.join", "fields": {}}
    header = json.dumps({"format": packing._FORMAT, "value": packed})
    np.savez(file, header=np.array(header))


def unknown_class(file):
    packed = {"module": "mi_estimators.estimation.nowhere.Critic", "attributes": {}}
    header = json.dumps({"format": packing._FORMAT, "value": packed})
    np.savez(file, header=np.array(header))


def torch_file(file):
    torch.save({"a": torch.ones(3)}, file)


WRONG = [
    lambda file: file.write(b""),
    lambda file: file.write(b"PK\x03\x04 and no more"),
    lambda file: file.write(b"not a fit\n" * 100),
    *(broken_header, header_that_is_no_json, other_arrays, single_array, pickle_inside),
    *(foreign_class, unknown_class, torch_file),
]


@pytest.mark.parametrize("write", WRONG, ids=[getattr(write, "__name__", "") for write in WRONG])
def test_other_file(write, tmp_path):
    """Another file is refused in one message."""
    with (tmp_path / "other").open("wb") as file:
        write(file)

    with pytest.raises(
        ValueError, match=r"path: expected a file that MIEstimator.save wrote, got .*other"
    ):
        mi.MIEstimator.load(tmp_path / "other")


def test_truncated_file(tmp_path):
    """A truncated file is refused; a missing one is an OSError."""
    path = tmp_path / "fit.npz"
    saved(tmp_path)
    content = path.read_bytes()

    for size in (len(content) // 3, len(content) - 30):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"path: expected a file that MIEstimator.save wrote"):
            mi.MIEstimator.load(path)

    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        mi.MIEstimator.load(tmp_path / "none.npz")


def test_failed_save(tmp_path):
    """A save that fails leaves the old file."""
    fitted = saved(tmp_path)
    before = (tmp_path / "fit.npz").read_bytes()
    fitted.folds_[0][1].note = {"a", "set"}

    with pytest.raises(ValueError, match="save: expected values that a file can hold, got set"):
        fitted.save(tmp_path / "fit.npz")
    assert (tmp_path / "fit.npz").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_contents(tmp_path):
    """The file is JSON and arrays."""
    saved(tmp_path)
    with zipfile.ZipFile(tmp_path / "fit.npz") as archive:
        assert all(name.endswith(".npy") for name in archive.namelist())
    with np.load(tmp_path / "fit.npz", allow_pickle=False) as archive:
        assert json.loads(str(archive["header"]))["format"].startswith("mi-estimators")
