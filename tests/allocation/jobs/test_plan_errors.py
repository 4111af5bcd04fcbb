"""A plan that is wrong: one message with the file, the table, the key, what was got and what is expected."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from allocation.jobs.plan import LARGEST, parse_plan, read_plan
from uplift.errors import InputError

PLAN = '[plan]\nname = "spring"\nresponses = "r"\n'
LIMIT = '[[limit]]\nname = "calls"\nmax = 5\n'


def refused(text: str) -> str:
    with pytest.raises(InputError) as error:
        parse_plan(text, "plan.toml")
    message = str(error.value)
    assert message.startswith("plan.toml")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file has no plan; one table is expected: write [plan]"),
        ("plan = 3", "the file has plan = 3; one table is expected"),
        ('[[plan]]\nname = "a"', "the file has plan = a list; one table is expected"),
        (f"[limit]\n{PLAN}", "the file has limit = a table; a list of tables is expected: write [[limit]]"),
        (f"limit = [3]\n{PLAN}", "the file has limit, item 1, = 3; a list of tables is expected"),
        (f"{PLAN}budgt = 3", "[plan] has the unknown key 'budgt'. Did you mean 'budget'?"),
        ('[plan]\nnme = "a"\nresponses = "r"', "[plan] has the unknown key 'nme'. Did you mean 'name'?"),
        (f"{PLAN}[limits]", "the file has the unknown key 'limits'. Did you mean 'limit'?"),
        (f"{PLAN}limit = 3", "[plan] has the unknown key 'limit'. It is a table of its own"),
        (
            f"{PLAN}{LIMIT}budget = 3",
            "[[limit]] number 1, 'calls', has the unknown key 'budget'. It belongs under [plan]",
        ),
        (f"{PLAN}where = 'a'", "[plan] has the unknown key 'where'. It belongs under [[limit]]"),
        (f"{PLAN}zzz = 1", "[plan] has the unknown key 'zzz'. There is 'name', 'responses'"),
        ('[plan]\nresponses = "r"', "[plan] has no name; text is expected"),
        (
            '[plan]\nname = 3\nresponses = "r"',
            '[plan] has name = 3; text is expected, such as name = "spring-coupons"',
        ),
        ('[plan]\nname = " "\nresponses = "r"', "[plan] has name = ' '; a name is expected that is not blank"),
        (
            '[plan]\nname = "a\\u0007"\nresponses = "r"',
            "a name without control characters is expected (it holds U+0007)",
        ),
        ('[plan]\nname = "a\\u202E"\nresponses = "r"', "without control characters is expected (it holds U+202E)"),
        (f'[plan]\nname = "{"a" * 201}"\nresponses = "r"', "at most 200 characters is expected (it has 201)"),
        (
            '[plan]\nname = "a"\nresponses = "r\\u0000"',
            "[plan] has responses = 'r\\x00'; a path without control char",
        ),
        ('[plan]\nname = "a"\nresponses = ""', "[plan] has responses = ''; a path is expected"),
        (
            '[plan]\nname = "a"\nresponses = ["r"]',
            "[plan] has responses = a list; the path of a Parquet file or folder",
        ),
        (
            '[plan]\nname = "a"\nresponses = "~nobody-here/r"',
            "[plan] has responses = '~nobody-here/r': ~nobody-here/r",
        ),
        (
            '[plan]\nname = "a"',
            "[plan] does not say what to decide from; add responses (a path), or model and features",
        ),
        (f'{PLAN}model = "m"\nfeatures = "f"', "[plan] has both responses and model"),
        (f'{PLAN}features = "f"', "[plan] has features, but no model"),
        ('[plan]\nname = "a"\nmodel = "m"', "[plan] has a model, but no features"),
        (f'{PLAN}budget = "100k"', "[plan] has budget = '100k'; a number is expected, such as budget = 100_000"),
        (f"{PLAN}budget = true", "[plan] has budget = true; a number is expected"),
        (f"{PLAN}budget = 2020-01-01", "[plan] has budget = a date; a number is expected"),
        (f"{PLAN}budget = nan", "[plan] has budget = nan; a finite number is expected"),
        (f"{PLAN}budget = inf", "[plan] has budget = inf; a finite number is expected; leave the key out"),
        (f"{PLAN}budget = 1e999", "[plan] has budget = inf; a finite number"),
        (f"{PLAN}budget = 1{'0' * 400}", "[plan] has budget = a whole number of 1,329 bits; a finite number"),
        (f"{PLAN}budget = -1", "[plan] has budget = -1; a number of at least 0 is expected"),
        (f"{PLAN}part_rows = 0", "[plan] has part_rows = 0; a whole number from 1 to 100,000,000 is expected"),
        (f"{PLAN}part_rows = 1.5", "[plan] has part_rows = 1.5; a whole number"),
        (f"{PLAN}part_rows = 0x{'f' * 5000}", "[plan] has part_rows = a whole number of 20,000 bits; a whole number"),
        (f'{PLAN}currency = ""', "[plan] has currency = ''; a name is expected"),
    ],
)
def test_the_file_and_its_plan(text: str, message: str):
    assert message in refused(text)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("max = 5", "[[limit]] number 1 has no name; text is expected"),
        ('name = "the budget"\nmax = 1', "'the budget', is called 'the budget'"),
        ('name = "x"', "[[limit]] number 1, 'x', has neither min nor max; give at least one"),
        ('name = "x"\nmin = 3\nmax = 2', "has its floor, min = 3.0, above its cap, max = 2.0; swap or mend"),
        ('name = "x"\nmin = "30%"\nmax = "20%"', "has its floor, min = 30%, above its cap, max = 20%"),
        (
            'name = "x"\nmin = 1.2\nmax = 1.7',
            "counts users, and no whole number lies between min = 1.2 and max = 1.7",
        ),
        ('name = "x"\nmax = -1', "has max = -1.0 users; a number of at least 0 is expected"),
        ('name = "x"\nmax = nan', "has max = nan; a finite number"),
        ('name = "x"\nmax = "120%"', 'has max = \'120%\'; a share from "0%" to "100%" is expected'),
        ('name = "x"\nmax = "-5%"', "has max = '-5%'; a number without quotes is expected, or a share"),
        ('name = "x"\nmax = "20"', "has max = '20'; a number without quotes is expected, or a share"),
        ('name = "x"\nmax = "٢%"', "has max = '٢%'; a number without quotes is expected, or a share"),
        ('name = "x"\nmax = false', 'has max = false; a number is expected, or a share such as "20%"'),
        (
            'name = "x"\nmax = "20%"\nmeasure = "value"',
            "has max = \"20%\" of 'value'; only of users and of the budget",
        ),
        ('name = "x"\nmax = "20%"\nmeasure = "minutes"', "has max = \"20%\" of 'minutes'; only of users"),
        (
            'name = "x"\nmax = "20%"\nmeasure = "cost"',
            "limit 'x' has max = \"20%\" of the budget, but [plan] has no bud",
        ),
        ('name = "x"\nmax = 1\nmeasure = 3', "has measure = 3; users, cost, value or the name of a resource"),
        ('name = "x"\nmax = 1\narms = "mail"', "has arms = 'mail'; a list of names of arms is expected"),
        ('name = "x"\nmax = 1\narms = ["a", 3]', "has arms, item 2, = 3; a list of names of arms is expected"),
        ('name = "x"\nmax = 1\narms = []', "has an empty list of arms; name at least one, or leave arms out"),
        ('name = "x"\nmax = 1\narms = ["a", "a"]', "names the arm 'a' more than once"),
        ('name = "x"\nmax = 1\nwhere = "heavy"', "has where = 'heavy'; a table is expected, such as where = {"),
        ('name = "x"\nmax = 1\nwhere = { a = [] }', "asks in where for 'a' = an empty list, which nobody matches"),
        (
            'name = "x"\nmax = 1\nwhere = { a.b = 1 }',
            "for 'a' = a table; text, a number, true, false or a list of them",
        ),
        ('name = "x"\nmax = 1\nwhere = { a = nan }', "asks in where for 'a' = nan; a finite number"),
        ('name = "x"\nmax = 1\nwhere = { a = 1979-05-27 }', "asks in where for 'a' = a date; text, a number"),
        ('name = "x"\nmax = 1\nwhere = { a = [1, [2]] }', "asks in where for 'a' = a list; text, a number"),
        ('name = "x"\nmax = 1\nwhere = { a = [1, "b"] }', "asks in where for 'a' = a list that mixes kinds"),
        ('name = "x"\nmax = 1\nwhere = { a = [1, true] }', "asks in where for 'a' = a list that mixes kinds"),
        ('name = "x"\nmax = 1\nwhere = { a = [1, 1.0] }', "asks in where for 'a' = 1.0 more than once"),
        ('name = "x"\nmax = 1\nwhere = { a = 9223372036854775808 }', "a whole number of 64 bits is expected"),
        (
            'name = "x"\nmax = 1\nwhere = { "a\\n" = 1 }',
            "asks in where for the column 'a\\n'; a name without control",
        ),
        ('name = "x"\nmax = 1\n[[limit]]\nname = "x"\nmin = 2', "limit 'x' stands more than once; give each limit"),
        (
            'name = "y"\nmax = 1\n[[limit]]\nname = "x"\nmax = []',
            "[[limit]] number 2, 'x', has max = a list; a number",
        ),
    ],
)
def test_its_limits(lines: str, message: str):
    assert message in refused(f"{PLAN}[[limit]]\n{lines}")


def test_a_share_of_the_budget_is_compared_with_an_amount():
    share = f'{PLAN}budget = 10\n[[limit]]\nname = "x"\nmeasure = "cost"\nmax = "20%"\nmin = '
    assert "limit 'x' has its floor, min = 5.0, above its cap, max = 2.0" in refused(share + "5")
    assert parse_plan(share + "2").limits[0].min == 2.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{PLAN}budget = \n", "plan.toml, line 4: no TOML, Invalid value; mend the text there"),
        (f"{PLAN}budget =", "plan.toml, line 4: no TOML, Invalid value"),
        (f"{PLAN}name = 'b'\n# more\n", "plan.toml, line 4: no TOML, Cannot overwrite a value"),
        ("\n\n[plan\n", "plan.toml, line 3: no TOML"),
        (f"{PLAN}a = {'[' * 5000}", "plan.toml: lists or tables that are nested too deep"),
        (f"{PLAN}a = {'{a=' * 5000}", "plan.toml: lists or tables that are nested too deep"),
        (f"{PLAN}a = {'9' * 5000}", "plan.toml: a whole number with thousands of digits"),
        ("\ud800", "plan.toml: half of a surrogate pair"),
        ("#" * (LARGEST + 1), "plan.toml has 1,048,577 characters; a plan has at most 1,048,576"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(text: str, message: str):
    assert message in refused(text)


@pytest.mark.parametrize("part", ["a.", '"a" .', "'' . ", '"\\"".', "a\t.\t"])
def test_a_key_of_many_parts_is_refused_at_once(part: str):
    """The standard parser would take minutes for half a mebibyte of them."""
    began = time.perf_counter()
    assert "plan.toml, line 2: a name of more than 16 parts" in refused("\n" + part * (1 << 19 >> 2) + "a = 1")
    assert "line 1: a name of more than 16 parts" in refused("[" + part * 1000 + "a]")
    assert time.perf_counter() - began < 5


def test_dots_in_text_and_comments_are_no_keys():
    plan = parse_plan(f'# {"." * 100}\n{PLAN}[[limit]]\nname = "a. b. c. {"d.e " * 30}"\nmax = 1\narms = ["a.b.c.d"]')
    assert plan.limits[0].arms == ("a.b.c.d",)


def test_files_that_cannot_be_read(tmp_path: Path):
    file = tmp_path / "plan.toml"
    for path, message in (
        (tmp_path / "none.toml", "none.toml does not exist; give the path of a plan, a TOML file"),
        (tmp_path, f"{tmp_path} is a folder; give the path of a plan"),
        ("a\0b", r"'a\x00b' does not exist; give the path of a plan"),
        (tmp_path / ("a" * 5000), "cannot be read: File name too long"),
        ("/dev/null", "/dev/null is no regular file"),
    ):
        with pytest.raises(InputError, match=re.escape(message)):
            read_plan(path)
    file.write_bytes(b"#" * (LARGEST + 1))
    with pytest.raises(InputError, match=r"plan.toml has more than 1,048,576 bytes"):
        read_plan(file)
    file.write_bytes(b"[plan]\nname = 'caf\xe9'\n")
    with pytest.raises(InputError, match=r"plan.toml, line 2: this is no UTF-8 text; save the plan as UTF-8"):
        read_plan(file)
    file.write_text("[plan]\n")
    with pytest.raises(InputError, match=re.escape(f"{file}: [plan] has no name")):
        read_plan(file)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Root may read everything, so the refusal is the test's own."""
    (tmp_path / "plan.toml").write_text(PLAN)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"plan.toml cannot be read: Permission denied"):
        read_plan(tmp_path / "plan.toml")
