"""Nothing that is read is run: no pickle, no name that leads out of the output folder, no neighbour touched."""

from __future__ import annotations

import ast
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression

from allocation.jobs.batch.inspect import inspect_decisions
from allocation.policies.two_stage import TwoStage
from tests.allocation.jobs.batch.decide_runs import (
    content,
    decide,
    decisions,
    plan_of,
    response_table,
    write_responses,
)
from tests.allocation.nightly import earmark
from tests.strategies import random_problem
from uplift import synthetic
from uplift.learners import SLearner

ROOT = Path(__file__).resolve().parents[4]
UNPICKLERS = {
    "pickle",
    "_pickle",
    "cPickle",
    "cloudpickle",
    "dill",
    "joblib",
    "shelve",
    "marshal",
    "pandas.io.pickle",
}
CALLS = {"read_pickle", "eval", "exec", "full_load", "unsafe_load"}
OWN_LOAD = {"torch", "yaml", "joblib"}
# Every class that anything unpickles, with the module that asked; compiled code is numba's own cache beside ours.
WATCH = """
import sys
found = set()
def hook(event, arguments):
    if event != "pickle.find_class":
        return
    frame, files = sys._getframe(1), []
    while frame is not None:
        files.append(frame.f_code.co_filename)
        frame = frame.f_back
    if not any("/numba/" in name for name in files):
        found.add((arguments, next((name for name in files if "importlib" not in name), "")))
sys.addaudithook(hook)
from allocation.cli import main
sys.argv[0] = "earmark"
try:
    main()
finally:
    if found:
        print("A PICKLE:", sorted(map(str, found)), file=sys.stderr)
"""


def modules() -> list[Path]:
    """Everything that is shipped."""
    return [path for package in ("allocation", "uplift", "app") for path in (ROOT / package).rglob("*.py")]


def offences(path: Path) -> list[str]:
    """Imports of what unpickles, and calls that do."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if UNPICKLERS & {*names, *(name.split(".")[0] for name in names)}:
            found.append(f"{path}:{node.lineno} imports {names}")
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        home = getattr(node.func.value, "id", "") if isinstance(node.func, ast.Attribute) else ""
        arguments = {keyword.arg: keyword.value for keyword in node.keywords}
        allowed = arguments.get("allow_pickle", arguments.get("weights_only"))
        if called in CALLS and (isinstance(node.func, ast.Name) or called not in ("eval", "exec")):
            found.append(f"{path}:{node.lineno} calls {called}")
        if called in ("load", "loads") and home in OWN_LOAD:
            found.append(f"{path}:{node.lineno} calls {home}.{called}")
        if "allow_pickle" in arguments and not (isinstance(allowed, ast.Constant) and allowed.value is False):
            found.append(f"{path}:{node.lineno} allows pickle")
        trusted = arguments.get("trusted")
        if isinstance(trusted, ast.Constant) and trusted.value is True:
            found.append(f"{path}:{node.lineno} trusts everything")
    return found


def test_no_module_imports_or_calls_what_unpickles():
    assert len(modules()) > 100
    assert [offence for path in modules() for offence in offences(path)] == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "import numpy as np\nnp.load(p, allow_pickle=True)",
        "torch.load(p)",
        "pd.read_pickle(p)",
        "eval(text)",
        "skops.io.loads(data, trusted=True)",
    ],
)
def test_the_search_finds_each(line: str, tmp_path: Path):
    (tmp_path / "m.py").write_text(line)
    assert offences(tmp_path / "m.py")


def test_nothing_is_unpickled_in_a_run_with_a_model(tmp_path: Path):
    """The interpreter itself tells of every class that is looked up for a pickle."""
    campaign = synthetic.simulate(600, seed=1).campaign
    model = TwoStage(SLearner(LinearRegression())).fit(campaign).save(tmp_path / "model")
    columns = dict(zip(campaign.features, campaign.X.T, strict=True))
    pq.write_table(pa.table({"user_id": np.arange(600), **columns}), tmp_path / "f.parquet")
    (tmp_path / "plan.toml").write_text(
        f'[plan]\nname = "t"\nmodel = {json.dumps(str(model))}\nfeatures = "f.parquet"\nbudget = 90\n'
    )
    line = [sys.executable, "-c", WATCH, "decide", str(tmp_path / "plan.toml"), "--out", str(tmp_path / "out")]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "A PICKLE" not in done.stderr
    assert len(decisions(tmp_path / "out")) == 600
    loads = "import fractions, pickle; pickle.loads(pickle.dumps(fractions.Fraction(1, 2)))"
    control = WATCH.replace("from allocation.cli import main", f"main = lambda: exec({loads!r})")
    told = subprocess.run([sys.executable, "-c", control], capture_output=True, text=True, timeout=120)
    assert "A PICKLE: [\"(('fractions', 'Fraction')" in told.stderr


class Evil:
    """What a pickle would run."""

    def __init__(self, sign: Path) -> None:
        self.sign = sign

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.sign),)


def test_a_pickled_extension_type_in_a_parquet_file_is_not_built(tmp_path: Path):
    """Arrow once did so by itself, for types of Python's own."""
    table = response_table(random_problem(np.random.default_rng(1), 50, 2, "generic"))
    marks = {
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": pickle.dumps(Evil(tmp_path / "owned")),
    }
    for name in ("note", "user_id", "value.none"):
        field = table.schema.field(name) if name in table.column_names else pa.field("note", pa.int64())
        column = table[name] if name in table.column_names else pa.array(np.arange(50))
        at = table.column_names.index(name) if name in table.column_names else len(table.column_names)
        changed = table.remove_column(at) if at < len(table.column_names) else table
        changed = changed.add_column(at, field.with_metadata(marks), column)
        changed = changed.replace_schema_metadata({"pandas": b"\x80\x04garbage"})
        folder = write_responses(tmp_path / f"r {name}", changed)
        decide(plan_of(folder, 30.0), tmp_path / "out")
        assert inspect_decisions(tmp_path / "out", folder).problems == ()
    assert not (tmp_path / "owned").exists()


HOSTILE = (
    "../../evil",
    "/etc/evil",
    "..",
    ".",
    "a/b\\c",
    "CON",
    "x\ny",
    "\u202e gpj.exe",
    "%2e%2e%2f",
    "~",
    "*",
    "$HOME",
)


def test_names_with_path_separators_stay_cells(tmp_path: Path):
    """Arms, the plan, limits, attributes and ids are called as paths are; files lie in the output folder alone."""
    rng = np.random.default_rng(2)
    problem = random_problem(rng, 60, len(HOSTILE), "generic")
    table = response_table(problem)
    arms = ("none", *HOSTILE)
    names = {f"arm {j}": arm for j, arm in enumerate(arms) if j}
    table = table.rename_columns(
        [
            name if "." not in name else f"{name.split('.')[0]}.{names.get(name.split('.', 1)[1], 'none')}"
            for name in table.column_names
        ]
    )
    ids = [f"{HOSTILE[k % len(HOSTILE)]}/{k}" for k in range(60)]
    table = table.set_column(0, "user_id", pa.array(ids)).append_column("../seg", pa.array(["/x"] * 60))
    home = tmp_path / "home" / "deep"
    folder = write_responses(home / "r", table)
    limits = '[[limit]]\nname = "../../limit"\narms = ["../../evil"]\nwhere = { "../seg" = "/x" }\nmax = 3\n'
    plan = plan_of(folder, 200.0, 25, limits).replace('"test"', '"../../../name"')
    (home / "plan.toml").write_text(plan)
    code, _, stderr = earmark("decide", home / "plan.toml", "--out", home / "out")
    assert code == 0, stderr
    found = decisions(home / "out")
    assert found["user_id"].to_pylist() == ids
    assert set(found["arm"].to_pylist()) <= set(arms)
    everything = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    expected = [f"home/deep/out/{name}" for name in ("manifest.json", *(f"part-0000{k}.parquet" for k in range(3)))]
    assert everything == sorted([*expected, "home/deep/plan.toml", "home/deep/r/r000.parquet"])
    assert inspect_decisions(home / "out", folder).problems == ()


@pytest.mark.parametrize("name", ["[ab]*", "a b", "-rf", "ünï", "out.staging-x", "$(touch x)", "a\\", "?"])
def test_output_folders_with_letters_of_patterns_touch_no_neighbour(name: str, tmp_path: Path):
    folder = write_responses(tmp_path / "r", response_table(random_problem(np.random.default_rng(3), 40, 2, "ties")))
    beside = ("a", "b", ".a.staging-0123456789ab", ".b.old", ".ax.lock", ".a.predicted-x", ".staging-0123456789ab")
    for other in beside:
        (tmp_path / other).mkdir()
        (tmp_path / other / "precious").write_text("mine")
    for budget in (20.0, 30.0):
        decide(plan_of(folder, budget), tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*beside, name, "r"])
    for other in beside:
        assert content(tmp_path / other) == content(tmp_path / "a")
