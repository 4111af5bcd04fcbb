"""Plans broken at random, each made from a number alone, so that a failure can be repeated.

A base plan is broken by up to seven of these:

- bytes: a bit flipped, bytes deleted, doubled, moved, replaced by others (NUL, DEL, BOM, halves of UTF-8, quotes),
  a piece of another plan put in, the end cut off;
- lines: one deleted, doubled, moved, commented out, put under another header;
- values: what stands behind a `=` swapped with another value, or replaced by one of HARD: huge and tiny numbers, nan,
  inf, other bases, dates, text of control, combining and turning characters, broken quotes and escapes, nested lists
  and tables of up to thousands of levels, shares out of range;
- keys: one misspelt, quoted, dotted (up to thousands of parts), or replaced by a key of another table;
- the tree: a value or a table anywhere in the parsed plan replaced by a random nested one, deleted, doubled or
  moved, and written again.
"""

from __future__ import annotations

import copy
import random
import tomllib
from collections.abc import Callable
from typing import Any

from allocation.jobs.toml_text import toml_key, toml_value

BASES = (
    """[plan]
name = "spring-coupons"
responses = "responses/*.parquet"
budget = 100_000.0
currency = "EUR"
part_rows = 1000

[[limit]]
name = "no more than 20% get the big coupon"
arms = ["coupon_20", "coupon_10"]
where = { segment = "heavy", region = ["north", "south"], age = [18, 19.5], active = true }
measure = "users"
max = "20%"

[[limit]]
name = "minutes"
measure = "minutes"
min = 10
max = 5e4

[[limit]]
name = "a fifth of the money"
measure = "cost"
min = "5%"
max = "20%"
[limit.where]
"a.b" = "é\\u00e9"
""",
    '[plan]\nname = "nightly"\nmodel = "m"\nfeatures = "s3://bucket/f"\n',
    'plan = { name = "inline", responses = "~/r", budget = 0 }\nlimit = [{ name = "x", min = 1 }, '
    '{ name = "y", measure = "value", max = -2.5, arms = ["a"] }]\n',
    "\ufeff# budget = 3\r\n[plan]\r\nname = '''three'''\r\nresponses = \"\"\"\\\r\n  r\"\"\"\r\nbudget = 0x10\r\n",
)
HARD = (
    "nan",
    "-nan",
    "inf",
    "-inf",
    "1e999",
    "-1e999",
    "1e-999",
    "5e-324",
    "1.7976931348623157e308",
    "-0.0",
    "0",
    "-1",
    "1e400",
    "9223372036854775808",
    "0xff",
    "0o7",
    "0b1",
    "1__0",
    "01",
    "+1",
    ".5",
    "5.",
    "1e",
    "1979-05-27",
    "1979-05-27T07:32:00Z",
    "07:32:00",
    "2020-02-30",
    "true",
    "false",
    "True",
    "null",
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    '""',
    '" "',
    '"120%"',
    '"0%"',
    '"100%"',
    '"-5%"',
    '"1e3%"',
    '"20"',
    '"%"',
    '"0.1%"',
    '"٢%"',
    '"\\u0000"',
    '"\\u202e"',
    '"\\ud800"',
    '"\\U0010ffff"',
    '"\\q"',
    '"\x00"',
    '"\x7f"',
    '"é́"',
    '"\U0001f469\u200d\U0001f469\u200d\U0001f467"',
    '"the budget"',
    '"users"',
    '"cost"',
    '"value"',
    '"../../etc/passwd"',
    '"~nobody/x"',
    '"://"',
    "'''",
    '"""',
    '"',
    "{a=1}",
    "{a={b=1}}",
    "{a=[]}",
    "{a=nan}",
    "{a=1979-05-27}",
    '{a=[1,"b"]}',
    "{a.b=1}",
    '{"\\u0007"=1}',
    "[1,[2]]",
    '["a","a"]',
    "[1,true]",
)
HUGE = ("9" * 400, "9" * 5000, "0x" + "f" * 5000, "1." + "0" * 5000, '"' + "a" * 5000 + '"', '"' + "9" * 5000 + '%"')
BYTES = (
    b"\x00",
    b"\x7f",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b'"',
    b"'",
    b"\\",
    b"=",
    b"[",
    b"]",
    b"\n",
)
KEYS = ("name", "responses", "model", "features", "budget", "currency", "part_rows", "limit", "plan")
KEYS += ("arms", "where", "measure", "min", "max")
HEADERS = ("[plan]", "[limit]", "[[limit]]", "[[plan]]", "[limit.where]", "[[limit.where]]")


def broken(rng: random.Random) -> bytes:
    """One broken plan."""
    text = rng.choice(BASES)
    if rng.random() < 0.4:
        text = of_tree(text, rng)
    for _ in range(rng.randint(0, 3)):
        text = rng.choice((of_lines, of_value, of_value, of_key))(text, rng)
    content = text.encode(errors="replace")
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        content = of_bytes(content, rng)
    return content


def of_bytes(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    end = min(len(content), at + rng.choice((1, 1, 2, 8, 40)))
    piece = content[at:end]
    if rng.random() < 0.4 and piece:
        return content[:at] + bytes([piece[0] ^ 1 << rng.randrange(8)]) + content[at + 1 :]
    to = rng.randrange(len(content) + 1)
    other = rng.choice(BASES).encode()
    cut = rng.randrange(len(other))
    return rng.choice(
        (
            content[:at] + content[end:],
            content[:end] + piece * rng.choice((1, 2, 500)) + content[end:],
            content[:to] + piece + content[to:],
            content[:at] + rng.choice(BYTES) + content[end:],
            content[:at] + other[cut : cut + 60] + content[end:],
            content[:at],
        )
    )


def of_lines(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines) + 1)
    line = lines[at]
    changed = rng.choice(
        (
            lines[:at] + lines[at + 1 :],
            [*lines[:to], line, *lines[to:]],
            [*lines[:at], "# " + line, *lines[at + 1 :]],
            [*lines[:at], rng.choice(HEADERS), *lines[at:]],
            [*lines[:at], f"{rng.choice(KEYS)} = {rng.choice(HARD)}", *lines[at:]],
        )
    )
    return "\n".join(changed)


def of_value(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    with_value = [i for i, line in enumerate(lines) if "=" in line]
    if not with_value:
        return text
    at, other = rng.choice(with_value), rng.choice(with_value)
    key, _, _ = lines[at].partition("=")
    deep = rng.choice((3, 20, 300, 4000))
    value = rng.choice(
        (
            rng.choice(HARD),
            rng.choice(HARD),
            rng.choice(HARD),
            lines[other].partition("=")[2],
            rng.choice(HUGE),
            "[" * deep + "1" + "]" * rng.choice((deep, deep - 1)),
            "{a=" * deep + "1" + "}" * rng.choice((deep, deep - 1)),
            f"[{', '.join(rng.choice(HARD) for _ in range(rng.randint(1, 4)))}]",
            f"{{ {rng.choice(KEYS)} = {rng.choice(HARD)}, b = {rng.choice(HARD)} }}",
        )
    )
    lines[at] = f"{key}= {value}"
    return "\n".join(lines)


def of_key(text: str, rng: random.Random) -> str:
    old, new = rng.choice(KEYS), rng.choice(KEYS)
    at = rng.randrange(len(old))
    many = rng.choice((2, 15, 17, 3000))
    changed = rng.choice(
        (
            new,
            f'"{old}"',
            old[:at] + old[at + 1 :],
            old[:at] + rng.choice("xXéß-_. \t#") + old[at:],
            old.upper(),
            f"{old}.{new}",
            '""',
            rng.choice(("a.", '"a".', "'' . ")) * many + old,
        )
    )
    return text.replace(old, changed, rng.choice((1, 1, -1)))


def of_tree(text: str, rng: random.Random) -> str:
    """The plan with a branch replaced, deleted, doubled or moved, in a layout of its own."""
    tree = tomllib.loads(text.removeprefix("\ufeff"))
    for _ in range(rng.randint(1, 3)):
        branches = list(found(tree))
        if not branches:
            break
        at, key = rng.choice(branches)
        from_, other = rng.choice(branches)
        try:
            action = rng.randrange(4)
            if action == 0:
                at[key] = random_tree(rng)
            elif action == 1:
                del at[key]
            elif action == 2:
                at[key] = copy.deepcopy(from_[other])
            elif isinstance(at, list):
                at.append(copy.deepcopy(at[key]))
            else:
                at[rng.choice(KEYS)] = at[key]
        except (KeyError, IndexError):  # an earlier change has taken the branch away
            pass
    try:
        return "\n".join(f"{toml_key(key)} = {toml_value(value)}" for key, value in tree.items())
    except (ValueError, RecursionError):  # a value that the writer does not write, or a branch within itself
        return text


def found(branch: Any) -> Any:
    """Every place in a tree: the list or table, and the index or key in it."""
    for key in list(branch) if isinstance(branch, dict) else range(len(branch)):
        yield branch, key
        if isinstance(branch[key], dict | list):
            yield from found(branch[key])


def random_tree(rng: random.Random, depth: int = 0) -> Any:
    leaves: tuple[Callable[[], Any], ...] = (
        lambda: rng.choice((0, 1, -1, 7, 2**63, -(2**63), 10**30, rng.randint(-100, 100))),
        lambda: rng.choice((0.5, -0.0, 1e308, 5e-324, rng.uniform(-10, 10))),
        lambda: rng.choice(("", " ", "20%", "121%", "heavy", "users", "cost", "a\tb", "\x85", "\u2028", "x" * 250)),
        lambda: rng.random() < 0.5,
    )
    sort = rng.randrange(4 if depth > 3 else 7)
    if sort < 4:
        return leaves[sort]()
    if sort < 6:
        return [random_tree(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {rng.choice((*KEYS, "segment", "a.b", "")): random_tree(rng, depth + 1) for _ in range(rng.randint(0, 3))}
