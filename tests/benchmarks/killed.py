"""`earmark decide` killed by SIGKILL at random moments and run again: `python tests/benchmarks/killed.py`.

One undisturbed run of simulated users is timed. Then each run is killed at a moment drawn uniformly over that time,
and run again. A thread reads the folder all the while, as `earmark inspect` does: it must be absent or whole, the old
decisions or the new ones. The rerun must leave the undisturbed run's bytes. With no decisions in the folder, and with
those of an earlier plan, which must stand until the new ones take their place; then once more with kills aimed at the
short time of writing: within 50 ms of the moment at which a random number of parts is there.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from allocation.jobs.batch.published import read_published
from allocation.jobs.simulate_job import SimulatePlan, run_simulation
from allocation.jobs.simulated_tables import Simulated
from uplift.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
Files = dict[str, str]


@dataclass
class Seen:
    """What the thread that reads the folder has seen: how often it was absent, whole, and neither."""

    whole: tuple[Files, ...]
    absent: int = 0
    readings: int = 0
    broken: list[str] = field(default_factory=list)

    def look(self, out: Path) -> None:
        """One reading: the manifest, then every part that it names."""
        self.readings += 1
        try:
            found = reading(out)
        except FileNotFoundError:
            self.absent += 1
            return
        except (InputError, OSError) as error:
            self.broken.append(str(error))
            return
        if found not in self.whole:
            self.broken.append(f"files of neither run: {sorted(found)}")


@dataclass(frozen=True)
class Kills:
    """What became of some kills: of how many the process was still running, and what lay there afterwards."""

    runs: int
    killed: int
    staged: int
    resumed: int
    switched: int
    same: int
    seen: Seen


def reading(out: Path) -> Files:
    """Checksums of the files of one run: the folder that the name means at one moment is read by a descriptor."""
    while True:
        folder = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
        try:
            place = Path(f"/proc/self/fd/{folder}")
            _, published = read_published(place)
            names = ["manifest.json", *(part.file for part in published.parts)]
            found = {name: hashlib.sha256((place / name).read_bytes()).hexdigest() for name in names}
            if {name: found[name] for name in names[1:]} != {part.file: part.sha256 for part in published.parts}:
                raise InputError("a part is not what its manifest says")
            return found
        except (InputError, OSError) as error:
            if os.fstat(folder).st_ino == inode(out):  # it is still the folder of this name: what is wrong is wrong
                raise InputError(str(error)) from None
        finally:
            os.close(folder)


def inode(out: Path) -> int:
    """The number of the folder, 0 where there is none."""
    try:
        return os.stat(out).st_ino
    except FileNotFoundError:
        return 0


def start(plan: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start the command."""
    line = [sys.executable, "-m", "allocation.cli", "decide", str(plan), "--out", str(out)]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(plan: Path, out: Path) -> float:
    """Run the command to its end; seconds."""
    began = time.perf_counter()
    process = start(plan, out)
    _, told = process.communicate()
    if process.returncode:
        raise RuntimeError(told.decode())
    return time.perf_counter() - began


def content(out: Path) -> Files:
    """Checksums of everything in the folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.iterdir())}


def clear(home: Path, out: Path, old: Path | None) -> None:
    """Nothing of a run before; the decisions of an earlier plan in the folder, or no folder."""
    for path in home.glob(f"*{out.name}*"):
        subprocess.run(["rm", "-rf", str(path)], check=True)
    if old is not None:
        subprocess.run(["cp", "-r", str(old), str(out)], check=True)


@dataclass(frozen=True)
class Moment:
    """When to kill: `seconds` after the start, or after so many `parts` are staged."""

    seconds: float
    parts: int = 0

    def wait(self, home: Path, process: subprocess.Popen[bytes]) -> None:
        """Come back at that moment, or when the process has ended."""
        while len(list(home.glob(".out.staging-*/part-*.parquet"))) < self.parts and process.poll() is None:
            time.sleep(0.001)
        time.sleep(self.seconds)


def killed_runs(home: Path, plan: Path, old: Path | None, moments: Sequence[Moment], pause: float) -> Kills:
    """Kill a run at each of these moments, look at what is there, and run again."""
    out, undisturbed = home / "out", content(home / "undisturbed")
    before = () if old is None else (content(old),)
    seen = Seen((*before, undisturbed))
    counts = dict.fromkeys(("killed", "staged", "resumed", "switched", "same"), 0)
    for moment in moments:
        clear(home, out, old)
        stop = threading.Event()

        def watch(stop: threading.Event = stop) -> None:
            while not stop.wait(pause):
                seen.look(out)

        watcher = threading.Thread(target=watch)
        watcher.start()
        process = start(plan, out)
        moment.wait(home, process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        counts["killed"] += process.returncode == -signal.SIGKILL
        left = {path.name: path.stat().st_mtime_ns for path in home.glob(".out.staging-*/part-*.parquet")}
        now = content(out) if out.exists() else None
        counts["staged"] += bool(left)
        counts["switched"] += now == undisturbed
        if now is not None and now not in seen.whole:
            seen.broken.append(f"killed at {moment}: files of neither run")
        if old is not None and now is None:
            seen.broken.append(f"killed at {moment}: the old decisions are gone")
        finish(plan, out)
        stop.set()
        watcher.join()
        kept = {path.name for path in out.iterdir() if left.get(path.name) == path.stat().st_mtime_ns}
        counts["resumed"] += bool(kept)
        beside = [path.name for path in home.glob(".out*")]
        counts["same"] += content(out) == undisturbed and not beside
    return Kills(len(moments), seen=seen, **counts)


def prepare(home: Path, users: int, part_rows: int) -> tuple[Path, Path, float]:
    """Simulated users, a plan of them, the decisions of another plan, and the seconds of an undisturbed run."""
    table = home / "responses"
    run_simulation(SimulatePlan(Simulated("responses", users, float32=True), part_rows=250_000), table)
    text = f'[plan]\nname = "killed"\nresponses = "{table}"\nbudget = {{}}\npart_rows = {part_rows}\n'
    for name, budget in (("old", 0.2 * users), ("plan", 0.4 * users)):
        (home / f"{name}.toml").write_text(text.format(budget))
    finish(home / "old.toml", home / "before")
    return home / "plan.toml", home / "before", finish(home / "plan.toml", home / "undisturbed")


def main() -> int:
    """Print one table; the exit code is 1 where anything was lost, doubled or half."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--part-rows", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=50, help="in each of the three rows")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory(dir=os.environ.get("EARMARK_SCRATCH")) as folder:
        home = Path(folder)
        plan, old, seconds = prepare(home, options.users, options.part_rows)
        what = f"{options.users:,} users, parts of {options.part_rows:,}"
        print(f"{what}; undisturbed {seconds:.2f} s; seed {options.seed}\n")
        print(
            "| in the folder | killed while running | with parts staged | went on with them | new ones published "
            "| bytes of the undisturbed run | readings | absent | neither old nor new |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        wrong = []
        parts = -(-options.users // options.part_rows)
        anywhere = [[Moment(float(at)) for at in rng.uniform(0.0, seconds, options.kills)] for _ in range(2)]
        delays, staged = rng.uniform(0.0, 0.05, options.kills), rng.integers(1, parts + 1, options.kills)
        writing = [Moment(float(delay), int(k)) for delay, k in zip(delays, staged, strict=True)]
        rows = (
            ("nothing", None, anywhere[0]),
            ("an earlier plan's decisions", old, anywhere[1]),
            ("an earlier plan's decisions; kills while it writes", old, writing),
        )
        for what, there, moments in rows:
            k = killed_runs(home, plan, there, moments, pause=0.05)
            print(
                f"| {what} | {k.killed} of {k.runs} | {k.staged} | {k.resumed} | {k.switched} | {k.same} of {k.runs} "
                f"| {k.seen.readings:,} | {k.seen.absent:,} | {len(k.seen.broken)} |",
                flush=True,
            )
            wrong += (
                k.seen.broken + ["bytes"] * (k.runs - k.same) + ["absent"] * (there is not None and k.seen.absent)
            )
    print("\n" + "\n".join(sorted(set(wrong)))) if wrong else None
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
