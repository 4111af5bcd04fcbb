"""Public data sets: their known figures, computed from the sources, and what happens when they are not at hand."""

import numpy as np
import pandas as pd
import pooch
import pytest
import requests
from causaldata import thornton_hiv as thornton_source
from numpy.testing import assert_allclose, assert_array_equal

from uplift import InputError, datasets


@pytest.fixture(scope="module")
def thornton():
    """The campaign of cash for collecting a result."""
    return datasets.thornton_hiv()


@pytest.fixture(scope="module")
def source():
    """The users with outcome, incentive, age and village, as the package causaldata has them."""
    frame = thornton_source.load_pandas().data.dropna(subset=["villnum", "age", "tinc", "got", "distvct"])
    bounds = [-1, 0, 1, 2, np.inf]
    return frame.assign(
        arm=pd.cut(frame["tinc"], bounds, labels=False), block=np.where(frame["villnum"] >= 100, 1, 0)
    )


def test_thornton_users_and_arms(thornton, source):
    """2,825 users in four tiers; every tier as large as in the source."""
    assert len(thornton) == len(source) == 2_825
    assert thornton.arms == ("nothing", "up to 1 USD", "1 to 2 USD", "over 2 USD")
    assert_array_equal(thornton.treatment, source["arm"])
    assert thornton.X.shape == (2_825, 3)


@pytest.mark.parametrize(("arm", "rate"), [(0, 0.339), (1, 0.724), (2, 0.863), (3, 0.852)])
def test_thornton_collection_by_arm(thornton, rate, arm):
    """Money brings people in: the rates of all 2,834 users, within half a per cent for the nine left out."""
    assert thornton.value[thornton.treatment == arm].mean() == pytest.approx(rate, abs=0.005)


def test_thornton_pays_on_collection_only(thornton, source):
    """Who did not collect cost nothing; who did, the incentive drawn; nobody got 3 dollars."""
    assert set(np.unique(thornton.value)) == {0.0, 1.0}
    assert_array_equal(thornton.cost[thornton.value == 0], 0)
    assert_allclose(thornton.cost[thornton.value == 1], source["tinc"][source["got"] == 1], rtol=1e-6)
    assert_array_equal(thornton.cost[thornton.treatment == 0], 0)
    assert 2.8 < thornton.cost.max() < 2.85


def test_thornton_propensity_by_block(thornton, source):
    """Rows sum to 1: the shares of arms in villages below 100, and from 100 on; 14% and 37% drew nothing."""
    assert_allclose(thornton.propensity.sum(axis=1), 1, rtol=1e-12)
    shares = pd.crosstab(source["block"], source["arm"], normalize="index")
    assert_allclose(thornton.propensity, shares.loc[source["block"]].to_numpy(), rtol=1e-12)
    assert_allclose(shares[0], [0.14, 0.37], atol=0.005)


def test_thornton_leaves_the_diagnosis_out(thornton):
    """The result of the test is no feature, under any name."""
    assert thornton.features == ("distance_km", "age", "village")


@pytest.fixture(scope="module", params=["visit", "conversion", "spend"])
def hillstrom(request, data_folder):
    """The e-mail test by each outcome."""
    return request.param, datasets.hillstrom(value=request.param)


def test_hillstrom_figures(hillstrom):
    """64,000 customers, a third each; known means of visits, purchases and dollars by arm."""
    value, log = hillstrom
    known = {
        "visit": ([0.106, 0.183, 0.151], 6e-4),
        "conversion": ([0.0057, 0.0125, 0.0088], 6e-5),
        "spend": ([0.653, 1.423, 1.077], 6e-4),
    }
    means, tolerance = known[value]
    assert len(log) == 64_000
    assert log.arms == ("No E-Mail", "Mens E-Mail", "Womens E-Mail")
    assert_allclose([log.value[log.treatment == j].mean() for j in range(3)], means, atol=tolerance)
    assert_allclose(np.bincount(log.treatment) / 64_000, 1 / 3, atol=0.005)
    assert_allclose(log.propensity, 1 / 3, rtol=1e-12)


def test_hillstrom_cost(hillstrom):
    """No mail costs nothing, a mail ten cents, whatever follows."""
    _, log = hillstrom
    assert_array_equal(log.cost, np.where(log.treatment == 0, 0, 0.1))


def test_hillstrom_features(hillstrom):
    """Outcomes are no features; each customer has one channel and one kind of zip code."""
    _, log = hillstrom
    assert not {"visit", "conversion", "spend"} & set(log.features)
    for prefix in ("channel ", "zip_code "):
        columns = [j for j, name in enumerate(log.features) if name.startswith(prefix)]
        assert len(columns) == 3
        assert_array_equal(log.X[:, columns].sum(axis=1), 1)


def six_customers():
    """A table in the form of the public file."""
    return pd.DataFrame(
        {
            "recency": [1, 2, 3, 4, 5, 6],
            "history": [10.0, 20, 30, 40, 50, 60],
            "mens": [0, 1] * 3,
            "womens": [1, 0] * 3,
            "newbie": [0, 0, 1] * 2,
            "channel": ["Web", "Phone", "Multichannel"] * 2,
            "zip_code": ["Urban", "Surburban", "Rural"] * 2,
            "segment": ["No E-Mail", "Mens E-Mail", "Womens E-Mail"] * 2,
            "visit": [0, 1, 1, 0, 0, 1],
            "conversion": [0, 0, 1, 0, 0, 0],
            "spend": [0, 0, 29.5, 0, 0, 0],
        }
    )


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Neither folder has a data set."""
    for name in ("named", "beside"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("EARMARK_DATA", str(tmp_path / "named"))
    monkeypatch.setattr(datasets, "BESIDE_CHECKOUT", tmp_path / "beside")
    return tmp_path


@pytest.mark.parametrize("folder", ["named", "beside"])
def test_found_in_a_folder(nowhere, folder):
    """$EARMARK_DATA or the folder beside the checkout; the price of a mail is the caller's."""
    six_customers().to_parquet(nowhere / folder / "hillstrom.parquet")
    log = datasets.hillstrom(value="spend", mail_cost=0.25)
    assert_array_equal(log.value, [0, 0, 29.5, 0, 0, 0])
    assert_array_equal(log.cost, [0, 0.25, 0.25] * 2)


def test_the_named_folder_comes_first(nowhere):
    """$EARMARK_DATA wins over the folder beside the checkout."""
    six_customers().to_parquet(nowhere / "beside" / "hillstrom.parquet")
    six_customers().assign(visit=1).to_parquet(nowhere / "named" / "hillstrom.parquet")
    assert_array_equal(datasets.hillstrom().value, [1] * 6)


def test_downloaded_with_a_checksum(nowhere, monkeypatch):
    """Where no folder has it, the public file is asked for with its sha256."""
    asked = {}

    def retrieve(url, known_hash, **_):
        asked.update(url=url, known_hash=known_hash)
        six_customers().to_csv(nowhere / "downloaded.csv", index=False)
        return str(nowhere / "downloaded.csv")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert_array_equal(datasets.hillstrom().value, [0, 1, 1, 0, 0, 1])
    assert asked["url"].startswith("https://")
    algorithm, digest = asked["known_hash"].split(":")
    assert algorithm == "sha256"
    assert len(bytes.fromhex(digest)) == 32


@pytest.mark.parametrize(
    "error", [requests.ConnectionError("no route"), requests.Timeout(), OSError(28, "disk full")]
)
def test_neither_folder_nor_network(nowhere, monkeypatch, error):
    """No network, a full disk or a wrong checksum: one message names the variable, the file and the source."""

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(pooch, "retrieve", fail)
    message = r"hillstrom\.parquet is neither in \$EARMARK_DATA .*https://.*set EARMARK_DATA to a folder that holds"
    with pytest.raises(InputError, match=message) as caught:
        datasets.hillstrom()
    assert type(error).__name__ in str(caught.value)


def test_a_file_that_changed_at_its_source(nowhere, monkeypatch):
    """A wrong checksum is no missing network; the message says which sum was expected."""

    def fail(*_, **__):
        raise ValueError("hash of downloaded file does not match")

    monkeypatch.setattr(pooch, "retrieve", fail)
    with pytest.raises(InputError, match=rf"SHA-256 is not {datasets.HILLSTROM_SHA256}.*EARMARK_DATA"):
        datasets.hillstrom()


def test_a_local_file_of_another_shape(nowhere):
    """The missing column is named."""
    pd.DataFrame({"recency": [1]}).to_parquet(nowhere / "named" / "hillstrom.parquet")
    with pytest.raises(InputError, match=r"hillstrom\.parquet has no column 'history'"):
        datasets.hillstrom()


def test_broken_local_file(nowhere):
    """A file cut short is named, not replaced by a download in silence."""
    (nowhere / "named" / "hillstrom.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"hillstrom\.parquet starts like Parquet but cannot be read"):
        datasets.hillstrom()


def test_unknown_outcome():
    """Three outcomes are known."""
    with pytest.raises(InputError, match="value is 'revenue'; one of visit, conversion, spend"):
        datasets.hillstrom(value="revenue")
