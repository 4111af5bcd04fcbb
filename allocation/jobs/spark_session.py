"""A Spark session: the running one or a quiet one of our own, and one message where Spark fails."""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from uplift.errors import InputError

try:
    from py4j.protocol import Py4JError, Py4JNetworkError
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkException
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession
except ImportError:
    raise InputError("earmark[spark] is not installed: pip install 'earmark[spark]'") from None

JAVA = 17  # what Spark 4 needs
ANSWER = 5.0  # seconds in which a master must answer
GONE = (Py4JNetworkError, ConnectionError, EOFError)
FAILURES = (PySparkException, Py4JError, *GONE)
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.sql.adaptive.enabled": "false",  # partitions are ours
    "spark.speculation": "false",
    "spark.driver.maxResultSize": "0",  # what comes home is bounded by the passes
}
HERE = {  # Java only hands rows on, so that it needs no compiler that takes its time
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": os.environ.get("SPARK_DRIVER_MEMORY") or "2g",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}
CLASS = re.compile(r".*\b(?:org|java|javax|scala|py4j)\.[\w.$]+(?:Exception|Error)\b:?")  # before what Java says
DEAD = "Java, in which Spark runs, has died"
MEMORY = "most likely memory ran out: give Spark more of it, or less to do (decide: part_rows, fit: --processes)"
MENDS = (
    (DEAD, MEMORY),
    ("No module named", "install the same earmark in the Python of every executor"),
    ("PYTHON_VERSION_MISMATCH", "set PYSPARK_PYTHON to the same version of Python for the executors"),
    ("exited unexpectedly", MEMORY),
    ("crashed", MEMORY),
    ("ExecutorLost", MEMORY),
    ("OutOfMemory", f"{MEMORY}; on one machine set SPARK_DRIVER_MEMORY (2g), on a cluster spark.executor.memory"),
    ("No space left", "free some space"),
)


@contextmanager
def no_warning() -> Iterator[None]:
    """Leave out what Spark says of pandas, which does nothing here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def running() -> bool:
    """Whether this process has a session already."""
    return SparkContext._active_spark_context is not None


def open_session(master: str | None) -> tuple[SparkSession, bool]:
    """A session, and whether it is ours to stop: the one that runs, else a new one for the master, such as local[2].

    Raises InputError without Java, for a master that cannot be used, and for one that is not the running session's.
    """
    if running():
        spark = SparkSession.builder.getOrCreate()
        own = spark.sparkContext.master
        if master not in (None, own):
            raise InputError(f"a Spark session for {own} runs already, and master is {master!r}; leave master out")
        return spark, False
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # else spark-submit has started Java
        check_java()
    _check_master(master)
    return _started(master), True


def stop(spark: SparkSession) -> None:
    """Stop a session, also one whose Java has died, so that another can be started."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            spark.stop()
        except FAILURES:
            spark.sparkContext.stop()  # now it takes down what is left on this side
            SparkContext._gateway = SparkContext._jvm = SparkSession._instantiatedSession = None


def _started(master: str | None) -> SparkSession:
    local = master is not None and master.startswith("local")
    conf = SparkConf().setAppName("earmark").setAll(list((SETTINGS | (HERE if local else {})).items()))
    if master is not None:
        conf.setMaster(master)
    # What Java says as it starts is no business of the user's terminal.
    with tempfile.TemporaryFile() as log, _python(local), no_warning():
        try:
            gateway = SparkContext._gateway or launch_gateway(conf, {"stderr": log})  # type: ignore[no-untyped-call]
            context = SparkContext(conf=conf, gateway=gateway)
            # Where Java dies, its partners here print tracebacks of their own.
            logging.getLogger("py4j").addHandler(logging.NullHandler())
            logging.getLogger().addFilter(_not_of_py4j)
            context._accumulatorServer.handle_error = lambda *_: None  # type: ignore[method-assign]
            return SparkSession(context)
        except (*FAILURES, RuntimeError, TypeError, ValueError, OSError) as error:
            # Where Java has not come up, only its own words say why.
            told = _written(log) if "JAVA_GATEWAY_EXITED" in str(error) else str(error)
            with suppress(*FAILURES):
                if running():
                    SparkContext.getOrCreate().stop()
            named = "its own default master" if master is None else f"master {master!r}"
            raise InputError(
                f"Spark cannot be started with {named}: {_reason(told)}; a master such as local[2], "
                "spark://host:7077 or yarn is expected"
            ) from None


def _not_of_py4j(record: logging.LogRecord) -> bool:
    return "py4j" not in Path(record.pathname).parts


@contextmanager
def _python(local: bool) -> Iterator[None]:
    """Let Spark's workers be this Python, not the system's; on a cluster a PYSPARK_PYTHON that is set stays."""
    before = {name: os.environ.get(name) for name in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON")}
    for name, value in before.items():
        os.environ[name] = sys.executable if local or value is None else value
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def check_java() -> None:
    """Raise InputError where there is no Java, or one that Spark cannot use."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    mend = (
        f"install Java {JAVA} or later (a package such as openjdk-{JAVA}-jre-headless), or leave --engine spark out"
    )
    if java is None:
        raise InputError(f"Spark needs Java {JAVA}, and there is no java on the PATH and no JAVA_HOME; {mend}")
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"Spark needs Java {JAVA}, and {java} does not start ({error}); {mend}") from None
    found = re.search(r'version "(?:1\.)?(\d+)', told.stderr + told.stdout)
    if found is None:
        raise InputError(f"Spark needs Java {JAVA}, and {java} -version tells no version; {mend}")
    if int(found[1]) < JAVA:
        raise InputError(f"Spark needs Java {JAVA}, and {java} is Java {found[1]}; {mend}, or set JAVA_HOME")


def _check_master(master: str | None) -> None:
    """Refuse what Spark would only find out after a minute: a remote that is none, a master that does not answer."""
    if master is None:
        return
    if master.startswith("sc://"):
        raise InputError(f"master is {master!r}, a Spark Connect server; give the cluster's own, spark://host:7077")
    if not master.startswith("spark://"):
        return
    places = master.removeprefix("spark://").split(",")
    said = ""
    for place in places:
        host, _, port = place.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=ANSWER):
                return
        except (OSError, ValueError) as error:
            said = str(error)
    raise InputError(f"master is {master!r}, and nothing answers there ({said}); start it, or mend the URL")


@contextmanager
def one_failure(what: str) -> Iterator[None]:
    """Turn what Spark throws within into one message; `what` is the pass."""
    try:
        yield
    except FAILURES as error:
        raise InputError(failure(what, DEAD if isinstance(error, GONE) else str(error))) from None


def failure(what: str, told: str) -> str:
    """The message for a pass that Spark has given up."""
    mend = next((mend for sign, mend in MENDS if sign in told), "mend that and run again")
    return f"Spark gave up {what!r}: {_reason(told)}; {mend}"


def _reason(told: str) -> str:
    """The line that says most in what Java or a Python worker has said."""
    lines = [line.rstrip() for line in told.splitlines() if line.strip()]
    for at, line in enumerate(lines):
        if line.strip().startswith("Traceback (most recent call last)"):
            raised = next((later for later in lines[at + 1 :] if not later[0].isspace()), None)
            if raised is not None:
                return _short(raised)
    signs = [line for line in lines if any(sign in line for sign, _ in MENDS)]
    causes = [line for line in lines if CLASS.search(line)]
    said = [line for line in lines if not re.search(r"\bWARN(ING)?\b|log4j|^An error occurred while calling", line)]
    for line in [*signs, *causes[::-1], *said]:
        text = CLASS.sub("", line).strip()
        if text:
            return _short(text)
    return "no reason was told"


def _short(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= 300 else text[:299] + "…"


def _written(log: IO[Any]) -> str:
    log.seek(0)
    return str(log.read().decode(errors="replace"))
