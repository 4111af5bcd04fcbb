"""Each notebook is short, clean in git, runs from a fresh kernel without a warning, and finds what it says."""

from __future__ import annotations

import warnings
from pathlib import Path

import altair as alt
import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from uplift import InputError, datasets

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NAMES = ["01_estimate", "02_allocate", "03_policy_evaluation", "04_long_tail"]

# Run in the notebook's own kernel after its last cell, on what its cells left.
CHECKS = {
    "01_estimate": """
        assert len(log) == 2_825
        assert (effects["low"] > 0).all()  # every sum of money brings people in
        adjusted_training = training[training["estimator"] == "adjusted"].iloc[0]
        assert training["estimate"].iloc[0] < 0 < adjusted_training["estimate"]  # raw: the wrong sign
        assert adjusted_training["low"] < truth["estimate"].iloc[0] < adjusted_training["high"]
        held = covered.groupby("estimator")["holds the truth"].sum()
        assert held["raw"] == 0 and held["adjusted"] >= 3  # of four
    """,
    "02_allocate": """
        assert (np.diff(value) >= 0).all() and (np.diff(price) <= 0).all()
        for made in (free, limited):
            spent = response.cost[np.arange(n), made.decision].sum()
            assert spent <= budget and abs(spent - made.cost) < 1e-3
        treated_far = (limited.decision[far] > 0).sum()
        assert treated_far >= 0.97 * far.sum() > (free.decision[far] > 0).sum()
        assert (limited.decision >= 2).sum() <= 60
        assert response.cost[far, limited.decision[far]].sum() <= 0.60 * budget
        assert [row.binding for row in limited.limits] == ["min", None, "max"]
        assert richer.price - 1e-3 <= bought <= free.price + 1e-3
        assert decided["expected_cost"].sum() <= budget and decided["arm"].isin(response.arms[2:]).sum() <= 60
    """,
    "03_policy_evaluation": """
        assert (table["promised_spend"] <= table["budget"] + 1e-6).all()
        idle = per_user[per_user["policy"] == "nobody"]
        assert (idle["difference_high"] < 0).all() and (idle["spend"] == 0).all()
        assert set(verdicts["against best mix"]) <= {
            "better", "worse", "same decision", "not distinguishable", "too few tell them apart"
        }
        assert (verdicts["against best mix"] == "not distinguishable").any()
        assert set(again["verdict"]) == {"not distinguishable"}
        assert true["end-to-end"] > true["two-stage"]
        assert low < true["end-to-end"] - true["two-stage"] < high  # the verified interval covers the known truth
    """,
    "04_long_tail": """
        assert strata.head.mean() <= 0.2
        assert abs(spread["users"].sum() - 1) < 1e-9 and abs(spread["events"].sum() - 1) < 1e-9
        worth = ranking.set_index(["model", "group"])["estimate"]
        for group in ("tail", "head"):
            assert worth["popular", group] < worth["net", group]
            assert worth["as shipped", group] >= worth["net", group] - 0.005  # the gate
        assert abs(features["engagement"].mean() - hits) < 0.05
    """,
}


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=nbformat.NO_CONVERT)


def test_every_notebook_is_tested():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES == sorted(CHECKS)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_valid_short_and_stripped(name: str):
    notebook = read(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    assert len(notebook.cells) <= 15
    assert notebook.cells[0].cell_type == notebook.cells[-1].cell_type == "markdown"
    assert "**Next:**" in notebook.cells[-1].source
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell for cell in code if cell.outputs or cell.execution_count is not None] == []


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_without_a_warning_and_finds_what_it_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    work = tmp_path / "work"
    work.mkdir()
    notebook = read(name)
    shown = len(notebook.cells)
    lines = [line.removeprefix("        ") for line in CHECKS[name].splitlines()]
    notebook.cells.append(nbformat.v4.new_code_cell("\n".join(lines)))
    client = NotebookClient(
        notebook, timeout=240, resources={"metadata": {"path": str(work)}}, kernel_manager_class=AsyncKernelManager
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the Jupyter that runs it, not of the notebook
        client.execute()
    outputs = [output for cell in notebook.cells[:shown] for output in cell.get("outputs", [])]
    assert [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"] == []
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert list(work.iterdir()) == []


def test_without_the_reviews_the_long_tail_is_simulated_and_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def absent() -> None:
        raise InputError("the file is nowhere")

    monkeypatch.setattr(datasets, "amazon_beauty", absent)
    first = next(cell for cell in read("04_long_tail").cells if cell.cell_type == "code")
    left: dict[str, object] = {}
    with alt.renderers.enable("png"):  # which the cell sets, and which is put back afterwards
        exec(compile(first.source, "04_long_tail", "exec"), left)
    assert "SIMULATED, because the file is nowhere" in capsys.readouterr().out
    assert left["log"].n_users == 6_000  # type: ignore[attr-defined]
