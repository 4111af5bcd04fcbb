"""Errors of the file system in one message: what it says, or what the error is called where it says nothing."""

from __future__ import annotations

import errno
import os

import pytest

from allocation.jobs.folder import reason, refused_as
from uplift.errors import InputError

SAID = [
    (OSError(), "OSError"),
    (OSError("no such thing\nmore of it"), "no such thing"),
    (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x"), "No space left on device"),
    (OSError(0, ""), "[Errno 0] "),
    (ValueError("embedded null byte"), "embedded null byte"),
    (RuntimeError(), "RuntimeError"),
]


@pytest.mark.parametrize(("error", "said"), SAID, ids=[repr(error) for error, _ in SAID])
def test_every_error_has_a_reason_on_one_line(error: Exception, said: str):
    assert reason(error) == said.strip()
    with (
        pytest.raises(InputError, match=r"^x cannot be read: ") as caught,
        refused_as(lambda why: f"x cannot be read: {why}"),
    ):
        raise error
    assert "\n" not in str(caught.value)


def test_errors_of_the_user_and_defects_of_ours_pass_as_they_are():
    for error in (InputError("as it is"), KeyError("ours")):
        with pytest.raises(type(error), match=str(error)), refused_as(lambda why: f"x: {why}"):
            raise error
    with pytest.raises(InputError, match="x: 'known'"), refused_as(lambda why: f"x: {why}", KeyError):
        raise KeyError("known")
