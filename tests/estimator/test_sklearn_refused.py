"""What of scikit-learn does not work with a `ModalityDict`, why, and the error that says so."""

import numpy as np
import pytest
from entry_points import CODE, MEMBERS, TABLE, X, Y, make, make_2d, refused
from sklearn import (
    base,
    compose,
    ensemble,
    feature_selection,
    inspection,
    model_selection,
    multiclass,
    multioutput,
    neighbors,
    pipeline,
    preprocessing,
    semi_supervised,
    utils,
)
from sklearn.preprocessing import StandardScaler

from inforeg_sk import ModalityTransformer

NEEDS_A_TABLE = "it converts X to one 2-D array; give it that and the classifier modalities="
INDEXES_COLUMNS = "it takes the columns of X by number, of which a container has none"
NO_IMPORTANCES = "a network has no coef_ or feature_importances_ of its columns"
WAY_OUT = r"not one array.*modalities="
NO_COLUMNS = r"one axis, the samples.*modalities="

TOOLS = {
    "ensemble.BaggingClassifier": ensemble.BaggingClassifier(make()),
    "ensemble.AdaBoostClassifier": ensemble.AdaBoostClassifier(make()),
    "multiclass.OneVsOneClassifier": multiclass.OneVsOneClassifier(make()),
    "multioutput.ClassifierChain": multioutput.ClassifierChain(make()),
    "semi_supervised.SelfTrainingClassifier": semi_supervised.SelfTrainingClassifier(make()),
    "feature_selection.SequentialFeatureSelector": feature_selection.SequentialFeatureSelector(
        make(), n_features_to_select=1
    ),
    "preprocessing.StandardScaler": preprocessing.StandardScaler(),
    "neighbors.KNeighborsClassifier": neighbors.KNeighborsClassifier(),
    "multiclass.OutputCodeClassifier": multiclass.OutputCodeClassifier(make(), random_state=0),
}


def raises(error, match):
    """`pytest.raises` for messages of several lines."""
    return pytest.raises(error, match=f"(?s){match}")


@refused(*TOOLS, reason=NEEDS_A_TABLE)
@pytest.mark.parametrize("name", TOOLS)
def test_what_needs_a_table_names_the_way_out(name):
    y = np.stack([CODE == 0, CODE == 1], axis=1) if "Chain" in name else CODE
    with raises(TypeError, WAY_OUT):
        base.clone(TOOLS[name]).fit(X, y)


@refused("utils.check_array", reason=NEEDS_A_TABLE)
def test_check_array_names_the_way_out():
    with raises(TypeError, WAY_OUT):
        utils.check_array(X)


@refused(
    "ensemble.StackingClassifier",
    variant="passthrough",
    reason="passthrough joins X to the probabilities as columns",
)
def test_stacking_with_passthrough_names_the_way_out():
    with raises(TypeError, WAY_OUT):
        ensemble.StackingClassifier(MEMBERS[:2], cv=2, passthrough=True).fit(X, Y)


@refused(
    "pipeline.FeatureUnion",
    reason="it joins the outputs of its transformers as columns of one array",
)
def test_feature_union_of_containers_is_refused():
    union = pipeline.FeatureUnion([("a", ModalityTransformer()), ("b", ModalityTransformer())])
    with raises((TypeError, ValueError), WAY_OUT + "|expected 2 dimensions"):
        union.fit_transform(X)


@refused(
    "inspection.permutation_importance",
    reason=INDEXES_COLUMNS,
)
def test_permutation_importance_finds_no_columns():
    clf = make().fit(X, Y)
    with raises(IndexError, NO_COLUMNS):
        inspection.permutation_importance(clf, X, Y)


@refused("compose.ColumnTransformer", reason=INDEXES_COLUMNS)
def test_column_transformer_finds_no_columns():
    with raises(IndexError, NO_COLUMNS):
        compose.ColumnTransformer([("a", StandardScaler(), [0])]).fit(X)


@refused("inspection.partial_dependence", reason=INDEXES_COLUMNS)
def test_partial_dependence_finds_no_columns():
    clf = make().fit(X, Y)
    with raises(IndexError, NO_COLUMNS):
        inspection.partial_dependence(clf, X, [0])


@refused("feature_selection.RFE", reason=NO_IMPORTANCES)
def test_recursive_elimination_finds_no_importances():
    with raises(ValueError, "coef_.*feature_importances_"):
        feature_selection.RFE(make_2d()).fit(TABLE, Y)


@refused("feature_selection.SelectFromModel", reason=NO_IMPORTANCES)
def test_selection_from_a_model_finds_no_importances():
    with raises(ValueError, "coef_.*feature_importances_"):
        feature_selection.SelectFromModel(make_2d()).fit(TABLE, Y).transform(TABLE)


@refused(
    "model_selection.cross_val_predict",
    variant="decision_function",
    reason="the classifier has predict_proba, and no decision_function",
)
def test_cross_val_predict_finds_no_decision_function():
    with raises(AttributeError, "decision_function"):
        model_selection.cross_val_predict(make(), X, Y, cv=3, method="decision_function")


@refused(
    "compose.TransformedTargetRegressor",
    reason="it transforms a regression target; labels are not numbers",
)
def test_transformed_target_regressor_refuses_labels():
    words = "could not convert string to float|not compatible with arrays of bytes/strings"
    with raises(ValueError, words):
        compose.TransformedTargetRegressor(make()).fit(X, Y)


@refused(
    "ensemble.BaggingClassifier",
    variant="max_features",
    reason="max_features takes columns at random, and modalities= names columns by place",
)
def test_bagging_of_some_columns_names_the_modalities():
    with raises(ValueError, "modalities"):
        ensemble.BaggingClassifier(make_2d(), max_features=0.3, random_state=0).fit(TABLE, Y)
