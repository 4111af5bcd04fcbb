"""The table of the data sets: what each is, how it was randomised, its licence, where it is from, its checksum."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pandas as pd

from uplift.errors import InputError, nearest

HILLSTROM_URL = "https://hillstorm1.s3.us-east-2.amazonaws.com/hillstorm_no_indices.csv.gz"
"""Where `hillstrom` downloads from, when no folder has its file."""
HILLSTROM_SHA256 = "bab6578f60db5d792f1c2372c502f029152a5249cf5ea84390f3b7f885d7234f"
"""The SHA-256 of what `HILLSTROM_URL` must give; anything else is refused."""

CRITEO_URL = (
    "https://huggingface.co/datasets/criteo/criteo-uplift/resolve/"
    "82811785048bb633de2d55c02bab4e57066e6423/criteo-research-uplift-v2.1.csv.gz"
)
CRITEO_SHA256 = "2716e1bf0fd157a93b5bf86924d9088419dfbac2022c6cd90030220634f616dc"
CRITEO_BYTES = 311_422_618
CRITEO_ROWS = 13_979_592

VIDEO_GAMES_URL = (
    "https://raw.githubusercontent.com/kang205/SASRec/641c378fcfac265ea8d1e5fe51d4d53eb892d1b4/data/Video.txt"
)
VIDEO_GAMES_SHA256 = "b7376fe24430743f411dc7f567285657b2adb3f74361cc7ba0aee94f3024b651"

UNSTATED = "none stated"


@dataclass(frozen=True)
class DataSet:
    """One public data set.

    Attributes
    ----------
    name : of the loader in `uplift.datasets`.
    files : what the loader looks for, relative to the data folder; empty where a package brings the data.
    rows : how many rows the set has in all.
    what : one line on its content.
    randomised : how the arms were assigned.
    licence : of the data, as its source states it.
    source : who made it, and where it is from.
    url : a public address of the first file (the same data, perhaps in another format), None where none is certain.
    sha256 : checksum of what `url` gives, or None.
    """

    name: str
    files: tuple[str, ...]
    rows: int
    what: str
    randomised: str
    licence: str
    source: str
    url: str | None = None
    sha256: str | None = None


DATA_SETS = (
    DataSet(
        name="thornton_hiv",
        files=(),
        rows=2_825,
        what="cash for collecting a test result; four tiers of incentive",
        randomised="users, by block of villages",
        licence="MIT (package causaldata)",
        source="Thornton 2008, American Economic Review 98(5); package causaldata",
    ),
    DataSet(
        name="hillstrom",
        files=("hillstrom.parquet",),
        rows=64_000,
        what="e-mail test of a shop, three arms; visit, conversion, spend",
        randomised="users, a third each",
        licence=UNSTATED,
        source="Hillstrom 2008, The MineThatData E-Mail Analytics And Data Mining Challenge",
        url=HILLSTROM_URL,
        sha256=HILLSTROM_SHA256,
    ),
    DataSet(
        name="social_pressure",
        files=("social_pressure.parquet",),
        rows=344_084,
        what="four mailings that urge to vote, and none; voted",
        randomised="households (their ids are not in the file)",
        licence=UNSTATED,
        source="Gerber, Green, Larimer 2008, American Political Science Review 102(1)",
    ),
    DataSet(
        name="ihdp",
        files=("ihdp_10reps.parquet",),
        rows=7_470,
        what="ten semi-synthetic replications of 747 children with both expected outcomes",
        randomised="no: part of the treated was removed on purpose",
        licence=UNSTATED,
        source="Hill 2011, Journal of Computational and Graphical Statistics 20(1)",
    ),
    DataSet(
        name="lalonde",
        files=(),
        rows=16_437,
        what="job training: the experiment of 445 users, and 15,992 survey controls; earnings of 1978",
        randomised="nsw yes, cps no",
        licence="MIT (package causaldata)",
        source="LaLonde 1986; Dehejia, Wahba 1999, Journal of the American Statistical Association 94(448); "
        "package causaldata (nsw_mixtape, cps_mixtape)",
    ),
    DataSet(
        name="open_bandit",
        files=tuple(f"open_bandit/{p}_{c}.parquet" for p in ("random", "bts") for c in ("all", "men", "women")),
        rows=60_000,
        what="recommendations logged by two policies in three campaigns, with true propensities; click",
        randomised="yes: page views by policy, items by the policy's probabilities",
        licence="Apache-2.0 (repository st-tech/zr-obp)",
        source="Saito, Aihara, Matsutani, Narita 2020, arXiv 2008.07146; small version, folder obd of st-tech/zr-obp",
    ),
    DataSet(
        name="amazon_beauty",
        files=("amazon_beauty.parquet",),
        rows=198_502,
        what="reviews in time order: 22,363 users, 12,101 items",
        randomised="no",
        licence=UNSTATED,
        source="Amazon product reviews, category Beauty, users and items with at least 5 reviews",
    ),
    DataSet(
        name="amazon_video_games",
        files=("amazon_video_games.txt.gz",),
        rows=287_107,
        what="reviews in time order: 31,013 users, 23,715 items",
        randomised="no",
        licence=UNSTATED,
        source="Amazon product reviews, category Video Games, as in the repository kang205/SASRec",
        url=VIDEO_GAMES_URL,
        sha256=VIDEO_GAMES_SHA256,
    ),
    DataSet(
        name="criteo_uplift",
        files=("criteo-research-uplift-v2.1.csv.gz",),
        rows=CRITEO_ROWS,
        what="advertising on or off; visit, conversion, exposure",
        randomised="users, in several tests put together",
        licence="CC BY-NC-SA 4.0",
        source="Diemert, Betlei, Renaudin, Amini 2018, A Large Scale Benchmark for Uplift Modeling; version 2.1",
        url=CRITEO_URL,
        sha256=CRITEO_SHA256,
    ),
    DataSet(
        name="knapsack",
        files=(
            *(f"knapsack/mmkp_khan/I{k}.txt" for k in ("01", "02", "03", "04", "05", "06", "07", "09", "13")),
            *(f"knapsack/mmkp_hiremath_hill/TestSet{s}IT5KP.txt" for s in ("1.5GP10", "2.10GP10")),
            *(f"knapsack/mmkp_hiremath_hill/TestSet{s}GP10IT10KP.txt" for s in ("5.10", ".30", ".100")),
            "knapsack/mmkp_hiremath_hill/TestSet.400GP10IT10KP.txt.gz",
            "knapsack/mmkp_hiremath_hill/optima.csv",
        ),
        rows=129,
        what="multiple-choice multi-dimensional knapsacks with known optima (rows: instances)",
        randomised="no",
        licence=UNSTATED,
        source="the instances of Khan and of Hiremath and Hill",
    ),
)
"""Every public data set that a loader knows, a `DataSet` each; `overview()` is the same as a table."""


def names() -> tuple[str, ...]:
    """The names of the data sets, each that of its loader, in the order of `DATA_SETS`."""
    return tuple(one.name for one in DATA_SETS)


def describe(name: str) -> DataSet:
    """The entry of one data set. Raises InputError, with the nearest name, for a name that is not in the table."""
    for one in DATA_SETS:
        if one.name == name:
            return one
    raise InputError(f"there is no data set {name!r}.{nearest(name, names())}")


def overview() -> pd.DataFrame:
    """One row a data set, indexed by name: the attributes of `DataSet`, and whether the data are `at_hand`.

    At hand is what a package brings, and what has every file in the folders where the loaders look first; what a
    loader downloaded before is not looked for.
    """
    from uplift.datasets.store import local  # it imports this module

    table = pd.DataFrame([asdict(one) for one in DATA_SETS]).set_index("name")
    table = table[["rows", "randomised", "licence", "what", "source", "files", "url", "sha256"]]
    return table.assign(at_hand=[all(local(file) is not None for file in one.files) for one in DATA_SETS])
