import inspect
import re

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
from sklearn.feature_selection import RFE, RFECV, SelectFromModel, SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.impute import IterativeImputer
from sklearn.linear_model import LogisticRegression, RANSACRegressor, RidgeCV
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils import all_estimators

from sklearn_dl import FullyConnectedNet, Softmax, TwoLayerNet
from sklearn_dl.inspection import SweepDisplay, TrainingCurveDisplay, WeightsDisplay

from . import _displays
from ._displays import X, drawn, y

close_figures = _displays.close_figures
IMAGES = np.zeros((2, 3, 4, 4))


@pytest.mark.parametrize("display", [WeightsDisplay, TrainingCurveDisplay])
def test_net_in_pipelines_and_searches(display):
    def fit(estimator):
        return estimator.fit(X, y)

    net = FullyConnectedNet(hidden_dims=(5,), num_epochs=1, random_state=0)
    pipe = make_pipeline(StandardScaler(), net)
    grid = {"fullyconnectednet__reg": [0.0, 0.1]}
    for estimator in (
        fit(clone(net)),
        fit(clone(pipe)),
        fit(GridSearchCV(clone(pipe), grid, cv=2)),
        fit(make_pipeline(StandardScaler(), GridSearchCV(clone(net), {"reg": [0.0, 0.1]}, cv=2))),
    ):
        drawn(display.from_estimator(estimator))


@pytest.mark.parametrize("display", [WeightsDisplay, TrainingCurveDisplay])
@pytest.mark.parametrize(
    ("estimator", "error", "match"),
    [
        (Softmax(), NotFittedError, "Softmax is not fitted"),
        (make_pipeline(StandardScaler(), Softmax()), NotFittedError, "Softmax is not fitted"),
        (GridSearchCV(Softmax(), {}), NotFittedError, "GridSearchCV is not fitted"),
        (LogisticRegression().fit(X, y), TypeError, r"must be a fitted net.*LogisticRegression\("),
        (make_pipeline(FunctionTransformer()), TypeError, r"got FunctionTransformer\("),
        (make_pipeline(Softmax(), "passthrough"), TypeError, "got 'passthrough'"),
        (Softmax, TypeError, "got <class"),
        (None, TypeError, "got None"),
        ({"W1": IMAGES}, TypeError, r"got \{'W1'"),
        (IMAGES, TypeError, "got array"),
    ],
)
def test_no_net(display, estimator, error, match):
    with pytest.raises(error, match=match):
        display.from_estimator(estimator)


def test_search_without_refit_holds_no_net():
    search = GridSearchCV(Softmax(num_epochs=1), {"reg": [0, 1]}, cv=2, refit=False).fit(X, y)
    with pytest.raises(ValueError, match="GridSearchCV was run with refit=False"):
        WeightsDisplay.from_estimator(search)


# Meta-estimators ----------------------------------------------------------------------------------


def make_net():
    return TwoLayerNet(hidden_dim=5, num_epochs=10, learning_rate=1e-2, random_state=0)


def importance(net):
    return np.abs(net.params_["W1"]).sum(axis=1)


def make_selector():
    return SelectFromModel(make_net(), importance_getter=importance)


TWO = (y > 4).astype(int)
PAIR = np.column_stack([TWO, y % 2])
GRID = {"reg": [0.0, 0.1]}

# Each meta-estimator around a net, what it is fitted to, and how many fitted nets it then keeps.
WRAPPERS = {
    AdaBoostClassifier: (lambda net: AdaBoostClassifier(net, n_estimators=2), (X, TWO), 2),
    BaggingClassifier: (lambda net: BaggingClassifier(net, n_estimators=3), (X, y), 3),
    BaggingRegressor: (lambda net: BaggingRegressor(net, n_estimators=2), (X, y), 2),
    CalibratedClassifierCV: (lambda net: CalibratedClassifierCV(net, cv=2), (X, TWO), 2),
    ClassifierChain: (ClassifierChain, (X, PAIR), 2),
    ColumnTransformer: (lambda net: ColumnTransformer([("a", make_selector(), slice(0, 64))]), (X, y), 1),
    FeatureUnion: (lambda net: FeatureUnion([("a", make_selector())]), (X, y), 1),
    FixedThresholdClassifier: (FixedThresholdClassifier, (X, TWO), 1),
    GradientBoostingClassifier: (lambda net: GradientBoostingClassifier(init=net, n_estimators=1), (X, TWO), 1),
    GradientBoostingRegressor: (lambda net: GradientBoostingRegressor(init=net, n_estimators=1), (X, y), 1),
    GridSearchCV: (lambda net: GridSearchCV(net, GRID, cv=2), (X, y), 1),
    HalvingGridSearchCV: (lambda net: HalvingGridSearchCV(net, GRID, cv=2), (X, y), 1),
    HalvingRandomSearchCV: (lambda net: HalvingRandomSearchCV(net, GRID, cv=2), (X, y), 1),
    IterativeImputer: (lambda net: IterativeImputer(net, max_iter=1), (X[:, 20:23].round(), None), 3),
    MultiOutputClassifier: (MultiOutputClassifier, (X, PAIR), 2),
    MultiOutputRegressor: (MultiOutputRegressor, (X, PAIR), 2),
    OneVsOneClassifier: (OneVsOneClassifier, (X, y % 3), 3),
    OneVsRestClassifier: (OneVsRestClassifier, (X, y % 3), 3),
    OutputCodeClassifier: (lambda net: OutputCodeClassifier(net, code_size=1, random_state=0), (X, y % 4), 4),
    Pipeline: (lambda net: Pipeline([("net", net)]), (X, y), 1),
    RANSACRegressor: (
        lambda net: RANSACRegressor(net, min_samples=0.9, residual_threshold=20, max_trials=1),
        (X, y),
        1,
    ),
    RFE: (lambda net: RFE(net, n_features_to_select=60, step=4, importance_getter=importance), (X, y), 1),
    RFECV: (lambda net: RFECV(net, step=40, cv=2, importance_getter=importance), (X, y), 1),
    RandomizedSearchCV: (lambda net: RandomizedSearchCV(net, GRID, n_iter=2, cv=2), (X, y), 1),
    RegressorChain: (RegressorChain, (X, PAIR), 2),
    SelectFromModel: (lambda net: SelectFromModel(net, importance_getter=importance), (X, y), 1),
    SelfTrainingClassifier: (SelfTrainingClassifier, (X, np.where(np.arange(len(y)) % 5, y, -1)), 1),
    SequentialFeatureSelector: (
        lambda net: SequentialFeatureSelector(net, n_features_to_select=1, cv=2),
        (X[:, 20:22], y),
        0,
    ),
    StackingClassifier: (lambda net: StackingClassifier([("a", net)], cv=2), (X, y), 1),
    TransformedTargetRegressor: (lambda net: TransformedTargetRegressor(net), (X, y), 1),
    TunedThresholdClassifierCV: (lambda net: TunedThresholdClassifierCV(net, cv=2), (X, TWO), 1),
    VotingClassifier: (lambda net: VotingClassifier([("a", net), ("b", clone(net))]), (X, y), 2),
}
# They refuse classifiers, or compute with predictions as if they were not integers.
NOT_FOR_CLASSIFIERS = {"AdaBoostRegressor", "StackingRegressor", "VotingRegressor"}
WITHOUT_ESTIMATOR = {
    "ExtraTreesClassifier", "ExtraTreesRegressor", "IsolationForest", "RandomForestClassifier",
    "RandomForestRegressor", "RandomTreesEmbedding",
}  # fmt: skip

each_wrapper = pytest.mark.parametrize("wrapper", WRAPPERS, ids=lambda wrapper: wrapper.__name__)


def test_all_meta_estimators_are_tested():
    arguments = {"estimator", "estimators", "base_estimator", "regressor", "steps", "transformers", "transformer_list"}
    metas = {
        name
        for name, cls in all_estimators()
        if issubclass(cls, MetaEstimatorMixin) or arguments & set(inspect.signature(cls).parameters)
    }
    tested = {cls.__name__ for cls in WRAPPERS}
    assert metas - tested == NOT_FOR_CLASSIFIERS | WITHOUT_ESTIMATOR | ({"FrozenEstimator"} & metas)


@each_wrapper
def test_unfitted_meta_estimators(wrapper):
    make, _, _ = WRAPPERS[wrapper]
    for net in (make_net(), make_net().fit(X, y)):
        if wrapper is Pipeline and hasattr(net, "params_"):
            continue  # a pipeline of fitted steps is fitted
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            WeightsDisplay.from_estimator(make(net))


@pytest.mark.filterwarnings("ignore:The total space of parameters", "ignore::FutureWarning")  # scikit-learn's
@each_wrapper
def test_fitted_meta_estimators(wrapper):
    make, data, n_nets = WRAPPERS[wrapper]
    # scikit-learn clones the net: that it is fitted itself must not matter.
    estimator = make(make_net().fit(X, y)).fit(*data)
    if n_nets == 1:
        drawn(TrainingCurveDisplay.from_estimator(estimator))
        drawn(WeightsDisplay.from_estimator(estimator))
        return
    with pytest.raises(ValueError, match=wrapper.__name__) as info:
        WeightsDisplay.from_estimator(estimator)
    if n_nets == 0:
        assert "keeps no fitted net" in str(info.value)
        return
    assert f"holds {n_nets} fitted nets" in str(info.value)
    # What the error names are nets.
    paths = re.findall(r"estimator\.[^ ]+(?=,|\.$)", str(info.value))
    assert len(paths) == min(n_nets, 3)
    nets = [eval(path, {"estimator": estimator}) for path in paths]
    assert len({id(net) for net in nets}) == len(nets)
    for net in nets:
        drawn(WeightsDisplay.from_estimator(net))
    drawn(TrainingCurveDisplay.from_runs(nets))


def test_the_net_that_is_drawn_is_the_fitted_one():
    given = make_net().fit(X, y)
    tuned = TunedThresholdClassifierCV(given, cv=2).fit(X, TWO)
    weights = WeightsDisplay.from_estimator(tuned).weights.reshape(5, -1)
    np.testing.assert_array_equal(weights, tuned.estimator_.params_["W1"].T)
    assert not np.array_equal(weights, given.params_["W1"].T)


@pytest.mark.parametrize("display", [WeightsDisplay, TrainingCurveDisplay])
def test_frozen_nets(display):
    with pytest.raises(NotFittedError, match="FrozenEstimator is not fitted"):
        display.from_estimator(FrozenEstimator(make_net()))
    frozen = FrozenEstimator(make_net().fit(X, TWO))
    drawn(display.from_estimator(frozen))
    drawn(display.from_estimator(FixedThresholdClassifier(frozen).fit(X, TWO)))
    drawn(display.from_estimator(CalibratedClassifierCV(frozen).fit(X, TWO)))


def test_ensembles_of_one_net_hold_one():
    for estimator in (
        BaggingClassifier(make_net(), n_estimators=1),
        CalibratedClassifierCV(make_net(), ensemble=False, cv=2),
        StackingClassifier([("net", make_net()), ("other", LogisticRegression())], cv=2),
        VotingClassifier([("net", make_pipeline(StandardScaler(), make_net())), ("other", LogisticRegression())]),
        OneVsRestClassifier(make_net()),
    ):
        drawn(WeightsDisplay.from_estimator(estimator.fit(X, TWO)))


def test_nets_in_wrappers_in_wrappers():
    search = GridSearchCV(make_pipeline(StandardScaler(), make_net()), {"twolayernet__reg": [0, 0.1]}, cv=2)
    estimator = make_pipeline(StandardScaler(), CalibratedClassifierCV(search, ensemble=False, cv=2)).fit(X, TWO)
    drawn(WeightsDisplay.from_estimator(estimator))
    bagging = BaggingClassifier(make_pipeline(StandardScaler(), make_net()), n_estimators=2).fit(X, y)
    with pytest.raises(ValueError, match=re.escape("estimator.estimators_[1].steps[1][1].")):
        WeightsDisplay.from_estimator(bagging)


def test_last_step_of_a_pipeline_counts_before_the_others():
    estimator = make_pipeline(make_selector(), make_net()).fit(X, y)
    np.testing.assert_array_equal(
        WeightsDisplay.from_estimator(estimator, image_shape=False).weights, estimator[-1].params_["W1"]
    )
    estimator = make_pipeline(make_selector(), LogisticRegression()).fit(X, y)
    np.testing.assert_array_equal(
        WeightsDisplay.from_estimator(estimator, image_shape=False).weights, estimator[0].estimator_.params_["W1"]
    )


def test_search_whose_best_estimator_is_no_net():
    pipeline = make_pipeline(StandardScaler(), Softmax(num_epochs=1, learning_rate=1e-9, random_state=0))
    grid = {"softmax": [Softmax(num_epochs=1, learning_rate=1e-9, random_state=0), LogisticRegression()]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    with pytest.raises(TypeError, match=r"must be a fitted net.*got LogisticRegression\("):
        WeightsDisplay.from_estimator(search)


# Wrappers that are not scikit-learn's -----------------------------------------------------------------


class Learned(ClassifierMixin, BaseEstimator):
    """Keeps a fitted copy under a name of its choice."""

    def __init__(self, net=None, name="estimator_"):
        self.net = net
        self.name = name

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        setattr(self, self.name, self.keep(clone(self.net).fit(X, y)))
        return self

    def keep(self, net):
        return net


class InAList(Learned):
    def keep(self, net):
        return {"nets": [("only", net)], 3: np.array([None, net], dtype=object)}


class InPlace(Learned):
    """Fits its parameter, as scikit-learn asks not to."""

    def fit(self, X, y):
        self.net.fit(X, y)
        self.classes_ = self.net.classes_
        return self


class Computed(Learned):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        net = clone(self.net).fit(X, y)
        self.get_net = lambda: net
        return self

    @property
    def best_estimator_(self):
        if not hasattr(self, "get_net"):
            raise AttributeError("not fitted")
        return self.get_net()


class Plain:
    """Without scikit-learn's base classes."""

    def __init__(self, net):
        self.net = net

    def fit(self, X, y):
        self.net.fit(X, y)
        return self


@pytest.mark.parametrize(
    "make",
    [
        *(
            lambda net, name=name: Learned(net, name)
            for name in ("estimator_", "best_estimator_", "model_", "model", "_net", "nets")
        ),
        InAList,
        InPlace,
        Computed,
        Plain,
    ],
)
@pytest.mark.parametrize("display", [WeightsDisplay, TrainingCurveDisplay])
def test_wrappers_of_ones_own(make, display):
    wrapper = make(make_net())
    with pytest.raises(NotFittedError, match=f"{type(wrapper).__name__} is not fitted yet"):
        display.from_estimator(wrapper)
    drawn(display.from_estimator(wrapper.fit(X, y)))


class Discarding(Learned):
    def keep(self, net):
        return len(net.loss_history_)


class Circular(Learned):
    def keep(self, net):
        self.me_ = [self]
        return net


def test_wrapper_that_keeps_nothing():
    with pytest.raises(ValueError, match="Discarding is fitted, but keeps no fitted net"):
        WeightsDisplay.from_estimator(Discarding(make_net()).fit(X, y))


def test_wrapper_that_holds_itself():
    drawn(WeightsDisplay.from_estimator(Circular(make_net()).fit(X, y)))


def test_wrapper_without_a_net():
    with pytest.raises(TypeError, match=r"must be a fitted net.*got Learned\("):
        WeightsDisplay.from_estimator(Learned(LogisticRegression()).fit(X, y))
    with pytest.raises(TypeError, match=r"must be a fitted net.*got GridSearchCV\("):
        WeightsDisplay.from_estimator(GridSearchCV(LogisticRegression(), {}))


# Searches -------------------------------------------------------------------------------------------


def make_search():
    return GridSearchCV(Softmax(num_epochs=1, random_state=0), {"reg": [0.0, 0.1], "learning_rate": [0.1, 0.2]}, cv=2)


@pytest.mark.parametrize(
    "make",
    [
        make_search,
        lambda: make_pipeline(StandardScaler(), make_search()),
        lambda: TunedThresholdClassifierCV(make_search(), cv=2),
        lambda: Learned(make_search()),
        lambda: CalibratedClassifierCV(make_search(), ensemble=False, cv=2),
    ],
)
def test_searches_inside_of_what_wraps_them(make):
    estimator = make()
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        SweepDisplay.from_estimator(estimator)
    drawn(SweepDisplay.from_estimator(estimator.fit(X, TWO)))


def test_several_searches():
    estimator = OneVsRestClassifier(make_search()).fit(X, y % 3)
    with pytest.raises(ValueError, match=r"holds 3 fitted searches.*estimator.estimators_\[2\]"):
        SweepDisplay.from_estimator(estimator)


@pytest.mark.parametrize(
    "estimator",
    [
        TunedThresholdClassifierCV(LogisticRegression(), cv=2, store_cv_results=True),
        RFECV(LogisticRegression(), step=30, cv=2),
        RidgeCV(store_cv_results=True),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_cv_results_of_what_is_no_search(estimator):
    for candidate in (estimator, clone(estimator).fit(X, TWO)):
        with pytest.raises(TypeError, match=rf"must be a fitted search.*got {type(estimator).__name__}\("):
            SweepDisplay.from_estimator(candidate)
