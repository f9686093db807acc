"""scikit-learn's contract, kept without importing it: clone, score, tags, searches, display."""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

import mi_estimators as mi

FAST = dict(steps=20, hidden=8, batch_size=64, folds=2)
LAW = mi.laws.Gaussian(0.8, 2)


CHECKS = [
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_estimator_cloneable",
    "check_get_params_invariance",
    "check_set_params",
    "check_estimators_unfitted",
    "check_estimator_repr",
    "check_valid_tag_types",
]
"""Those that fit no data: the others fit fewer rows than the 64 that an estimate needs."""


def sample(n, seed=0):
    return LAW.sample(n, torch.Generator().manual_seed(seed))


def arrays(n):
    return (rows.numpy() for rows in sample(n))


def quick():
    return mi.MIEstimator(**FAST)


def test_score():
    """The score is the reading of fresh rows."""
    fitted = quick().fit(*sample(200))
    fresh = sample(100, seed=1)
    assert fitted.score(*fresh) == fitted.estimate(*fresh).nats
    with pytest.raises(ValueError, match="expected a fitted estimator"):
        mi.MIEstimator().score(*fresh)


def test_fitted():
    estimator = quick()
    assert not estimator.__sklearn_is_fitted__()
    assert "nats" not in estimator._repr_html_()
    assert estimator.fit(*sample(200)).__sklearn_is_fitted__()
    assert f"{estimator.estimate_.nats:.3f} nats" in estimator._repr_html_()


def test_lazy_import():
    """Our library alone does not load scikit-learn."""
    code = "import sys, mi_estimators as mi; mi.MIEstimator(); assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(find_spec("sklearn") is None, reason="needs scikit-learn")
class TestWithScikitLearn:
    """What scikit-learn itself makes of an estimator."""

    def test_clone(self):
        """A clone has the same settings and no fit."""
        from sklearn.base import clone
        from sklearn.exceptions import NotFittedError
        from sklearn.utils.validation import check_is_fitted

        module = torch.nn.Bilinear(2, 2, 1)
        fitted = quick().fit(*sample(200)).set_params(seed=5)

        check_is_fitted(fitted)

        again = clone(fitted)
        assert again.get_params() == fitted.get_params()
        with pytest.raises(NotFittedError):
            check_is_fitted(again)

        assert clone(mi.MIEstimator(critic=module)).critic is not module
        assert clone(mi.MIEstimator(critic=type(module))).critic is type(module)

    def test_tags(self):
        from sklearn.base import is_classifier, is_regressor
        from sklearn.utils import get_tags

        estimator = mi.MIEstimator()
        assert get_tags(estimator).target_tags.required
        assert not is_classifier(estimator)
        assert not is_regressor(estimator)

    def test_cross_val_score(self):
        """`cross_val_score` reads the rows left out."""
        from sklearn.model_selection import KFold, cross_val_score

        x, y = arrays(300)
        scores = cross_val_score(
            quick(),
            x,
            y,
            cv=KFold(3),
            error_score="raise",
        )
        train, test = next(KFold(3).split(x))
        fitted = quick().fit(x[train], y[train])

        assert scores[0] == fitted.estimate(x[test], y[test]).nats
        assert scores == pytest.approx([LAW.mutual_information] * 3, abs=0.35)

    def test_search(self):
        """A search finds the setting that reads more."""
        from sklearn.model_selection import GridSearchCV

        x, y = arrays(300)
        grid = {"anchor": ["none", "copula"], "steps": np.array([5, 10])}
        search = GridSearchCV(quick(), grid, cv=2, error_score="raise").fit(x, y)

        assert search.best_params_["anchor"] == "copula"
        assert search.best_score_ == search.cv_results_["mean_test_score"].max()
        assert search.score(x, y) == search.best_estimator_.score(x, y)
        assert isinstance(search.best_estimator_.estimate_, mi.MIEstimate)

    def test_pipeline(self):
        from sklearn.model_selection import GroupKFold, cross_validate
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        x, y = arrays(300)
        pipeline = make_pipeline(StandardScaler(), quick())

        assert pipeline.fit(x, y).score(x, y) > 0.5

        pipeline.set_params(miestimator__steps=3)
        assert pipeline[-1].steps == 3

        groups = np.arange(300) // 3
        result = cross_validate(
            quick(),
            x,
            y,
            groups=groups,
            cv=GroupKFold(2),
            params={"groups": groups},
            error_score="raise",
            return_estimator=True,
        )

        assert all("ksg" not in fit.estimate_.diagnostics for fit in result["estimator"])

    def test_metadata_routing(self):
        import sklearn
        from sklearn.model_selection import cross_val_score

        x, y = arrays(200)
        plain = cross_val_score(quick(), x, y, cv=2, error_score="raise")
        with sklearn.config_context(enable_metadata_routing=True):
            routed = cross_val_score(quick(), x, y, cv=2, error_score="raise")

        assert list(routed) == list(plain)

    @pytest.mark.parametrize("name", CHECKS)
    def test_estimator_checks(self, name):
        from sklearn.utils import estimator_checks

        getattr(estimator_checks, name)("MIEstimator", quick())

    def test_displays(self):
        """Every display shows the settings."""
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.utils import estimator_html_repr

        estimator = mi.MIEstimator(steps=77)
        for html in (
            estimator._repr_html_(),
            estimator_html_repr(estimator),
            make_pipeline(StandardScaler(), estimator)._repr_html_(),
        ):
            assert "MIEstimator" in html
            assert "77" in html
