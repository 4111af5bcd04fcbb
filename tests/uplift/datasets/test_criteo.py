"""CRITEO-UPLIFT v2 by a small file of its schema: roles, sampling, and what is refused."""

import gzip
import zlib

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from uplift import InputError, datasets
from uplift.datasets import criteo

NAMES = [*(f"f{j}" for j in range(12)), "treatment", "conversion", "visit", "exposure"]


@pytest.fixture
def table():
    """500 rows, f0 the row number."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({name: rng.standard_normal(500).round(4) for name in NAMES[:12]})
    frame["f0"] = np.arange(500.0)
    for name, share in zip(NAMES[12:], (0.85, 0.2, 0.5, 0.3), strict=True):
        frame[name] = (rng.random(500) < share).astype(int)
    return frame


@pytest.fixture
def path(table, tmp_path):
    """The table as the public file has it: compressed CSV."""
    table.to_csv(tmp_path / "small.csv.gz", index=False)
    return tmp_path / "small.csv.gz"


def load(path, **options):
    return datasets.criteo_uplift(path, verify=False, **options)


def test_roles(path, table):
    """Value is conversion, cost visit, the arm the flag of treatment; nothing measured afterwards is a feature."""
    log = load(path)
    assert log.arms == ("control", "treated")
    assert log.features == tuple(NAMES[:12])
    assert log.X.dtype == np.float32
    assert_allclose(log.X, table[NAMES[:12]], rtol=1e-6)
    assert_array_equal(log.treatment, table["treatment"])
    assert_array_equal(log.value, table["conversion"])
    assert_array_equal(log.cost, table["visit"])
    assert_array_equal(log.user_id, np.arange(500))
    assert_allclose(log.propensity[:, 1], table["treatment"].mean(), rtol=1e-12)
    assert_allclose(log.propensity.sum(axis=1), 1, rtol=1e-12)


def test_other_roles(path, table):
    """Any outcome may be value or cost; no cost is a choice too."""
    log = load(path, value="visit", cost="exposure")
    assert_array_equal(log.value, table["visit"])
    assert_array_equal(log.cost, table["exposure"])
    assert load(path, cost=None).cost is None


@pytest.mark.parametrize("block", [700, 1 << 12, 1 << 23])
def test_blocks_change_nothing(path, table, monkeypatch, block):
    """One block or many: the same log and the same sample."""
    monkeypatch.setattr(criteo, "BLOCK_BYTES", block)
    assert_array_equal(load(path).X[:, 0], np.arange(500))
    sample = load(path, rows=60, seed=4)
    keys = np.random.default_rng([4, zlib.crc32(b"criteo sample")]).random(500)
    assert_array_equal(sample.user_id, np.sort(np.argsort(keys)[:60]))
    assert_array_equal(sample.X[:, 0], sample.user_id)
    assert_array_equal(sample.value, table["conversion"][sample.user_id])


def test_every_row_has_the_same_chance(path):
    """400 samples of 50 of 500 rows: each row 40 times in the mean, none outside five standard deviations."""
    X, flags = np.arange(6_000, dtype=np.float32).reshape(500, 12), np.zeros((500, 4), np.int8)
    counts = np.zeros(500)
    for seed in range(400):
        blocks = iter([(X[a:b], flags[a:b]) for a, b in ((0, 49), (49, 140), (140, 500))])
        kept = criteo._sample(blocks, 50, seed, path)[2]
        keys = np.random.default_rng([seed, zlib.crc32(b"criteo sample")]).random(500)
        assert_array_equal(kept, np.sort(np.argsort(keys)[:50]))
        counts[kept] += 1
    assert counts.sum() == 400 * 50
    assert np.abs(counts - 40).max() < 5 * np.sqrt(400 * 0.1 * 0.9)


def test_all_rows_wanted_of_small_blocks(path):
    """Until enough rows are there, each enters, whatever its key."""
    X, flags = np.arange(24, dtype=np.float32).reshape(2, 12), np.zeros((2, 4), np.int8)
    for seed in range(20):
        blocks = iter([(X[:1], flags[:1]), (X[1:], flags[1:])])
        assert_array_equal(criteo._sample(blocks, 2, seed, path)[2], [0, 1])


def test_same_seed_same_rows(path):
    """Another seed, other rows; all rows asked for, all in order."""
    first, again, other = (load(path, rows=100, seed=s).user_id for s in (1, 1, 2))
    assert_array_equal(first, again)
    assert (first != other).any()
    assert_array_equal(load(path, rows=500).user_id, np.arange(500))


def test_more_rows_than_there_are(path):
    """The count at hand is named."""
    with pytest.raises(InputError, match=r"rows is 501, but .* has 500"):
        load(path, rows=501)


def test_one_arm_only(table, tmp_path):
    """A sample without control is no campaign."""
    table.assign(treatment=1).to_csv(tmp_path / "one.csv.gz", index=False)
    with pytest.raises(InputError, match="500 rows kept have 0 of arm 'control'"):
        load(tmp_path / "one.csv.gz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="f7"), r"'f7' is missing or too many\): version 2\.1"),
        (lambda t: t.assign(extra=1), "'extra' is missing or too many"),
        (lambda t: t[t.columns[::-1]], "their order differs"),
        (lambda t: t.assign(visit=2), "a visit that is neither 0 nor 1 after row 0"),
        (lambda t: t.assign(treatment=-1), "a treatment that is neither 0 nor 1"),
        (lambda t: t.assign(exposure=300), "cannot be read after row 0.*numbers are expected"),
        (lambda t: t.assign(f3="red"), "cannot be read after row 0.*numbers are expected"),
        (lambda t: t.assign(f3=np.nan), "an empty cell after row 0"),
        (lambda t: t.assign(f3=np.inf), "a feature that is no finite number"),
        (lambda t: t[:0], "has a header and no rows"),
    ],
)
def test_another_schema(table, tmp_path, change, message):
    """Each way to differ from the published schema has its message."""
    change(table).to_csv(tmp_path / "other.csv.gz", index=False)
    with pytest.raises(InputError, match=message):
        load(tmp_path / "other.csv.gz")


def test_cut_short(path):
    """A download that broke off is not taken for a smaller set."""
    whole = path.read_bytes()
    for share in (0.5, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match=r"is cut short or damaged after row .*fetch it anew"):
            load(path)


@pytest.mark.parametrize(
    "content",
    # Named, with no time in the gzip header: each worker of a parallel run must collect the same tests.
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"f0,f1\n1,2\n", id="plain text"),
        pytest.param(gzip.compress(b"\xff\xfe\x00", mtime=0), id="gzip of no text"),
    ],
)
def test_no_gzip(path, content):
    """Nothing, plain text, or no text at all."""
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is no gzip file of UTF-8 text|has the columns"):
        load(path)


def test_verified_by_size_and_checksum(path, monkeypatch):
    """Another size or another content is refused, with the way out for an excerpt."""
    with pytest.raises(InputError, match=r"bytes, the public file has 311,422,618; .*verify=False"):
        datasets.criteo_uplift(path)
    monkeypatch.setattr(criteo, "CRITEO_BYTES", path.stat().st_size)
    with pytest.raises(InputError, match=r"SHA-256 \w{64}, the public file has 2716e1bf.*verify=False"):
        datasets.criteo_uplift(path)


def test_found_in_the_named_folder(path, monkeypatch):
    """Without a path the file is sought like every other."""
    path.rename(path.with_name("criteo-research-uplift-v2.1.csv.gz"))
    monkeypatch.setenv("EARMARK_DATA", str(path.parent))
    assert len(load(None)) == 500


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"value": "revenue"}, "value is 'revenue'; one of conversion, visit, exposure is expected"),
        ({"cost": "money"}, "cost is 'money'; one of conversion, visit, exposure or None"),
        ({"value": "visit"}, "value and cost are both 'visit'"),
        ({"rows": 0}, "rows is 0; a whole number of at least 2"),
        ({"rows": 2.5}, r"rows is 2\.5"),
        ({"path": "nowhere.csv.gz"}, r"nowhere\.csv\.gz does not exist"),
    ],
)
def test_bad_arguments(path, options, message):
    """Refused before the file is read."""
    with pytest.raises(InputError, match=message):
        load(**{"path": path} | options)


def test_the_suffix_of_the_file_does_not_matter(path, tmp_path):
    """A download may be named anything; what counts is that it is gzip."""
    other = path.rename(tmp_path / "criteo-research-uplift")
    assert len(load(other)) == 500
