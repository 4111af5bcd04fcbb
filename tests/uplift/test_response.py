"""The response table: effects, rows, the file and back, and what it refuses."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal

from uplift import InputError, Response

ARMS = ("none", "mail", "10.5 EUR")
VALUE = np.array([[1.0, 2.5, 4.0], [-1.0, -3.0, 0.0], [0.1, 0.1, 1e6], [7.0, 0.0, -0.5]])
COST = np.array([[0.0, 0.5, 1.0], [0.0, 0.5, -1.0], [0.0, 0.0, 1 / 3], [0.25, 0.5, 0.75]])


def test_effect():
    """By hand: 2.5 - 1, 4 - 1; -3 + 1, 0 + 1; ..."""
    assert_array_equal(Response(VALUE, COST, ARMS).effect, [[1.5, 3.0], [-2.0, 1.0], [0.0, 1e6 - 0.1], [-7.0, -7.5]])


@pytest.mark.parametrize("rows", [np.array([3, 0]), np.array([True, False, False, True]), np.array([], dtype=int)])
@pytest.mark.parametrize("ids", [None, np.array(["d", "c", "b", "a"], dtype=object)])
def test_take(rows, ids):
    """Value, cost and ids follow the rows, arms stay."""
    part = Response(VALUE, COST, ARMS, ids).take(rows)
    assert_array_equal(part.value, VALUE[rows])
    assert_array_equal(part.cost, COST[rows])
    assert part.arms == ARMS
    assert len(part) == len(VALUE[rows])
    assert (part.user_id is None) if ids is None else (part.user_id.tolist() == ids[rows].tolist())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("ids", [np.array([5, 2**60, 1, 3]), np.array(["d", "c", "007", "7"], dtype=object)])
def test_round_trip(tmp_path, dtype, ids):
    """Written and read again, nothing changes, and the file has the documented columns and precision."""
    written = Response(VALUE.astype(dtype), COST.astype(dtype), ARMS, ids)
    written.write(tmp_path / "r.parquet")
    schema = pq.read_schema(tmp_path / "r.parquet")
    assert schema.names == ["user_id", *(f"value.{arm}" for arm in ARMS), *(f"cost.{arm}" for arm in ARMS)]
    assert {str(t) for t in schema.types[1:]} == {"double" if dtype is np.float64 else "float"}
    read = Response.read(tmp_path / "r.parquet")
    assert_array_equal(read.value, written.value)
    assert_array_equal(read.cost, written.cost)
    assert read.arms == ARMS
    assert read.user_id.tolist() == ids.tolist()


def test_users_without_ids_are_numbered(tmp_path):
    """A written table names every row."""
    Response(VALUE, COST, ARMS).write(tmp_path / "r.parquet")
    assert_array_equal(Response.read(tmp_path / "r.parquet").user_id, range(4))


def test_memory_order_does_not_matter(tmp_path):
    """Columns of a transposed and of a reversed view are written as they look."""
    Response(np.asfortranarray(VALUE), COST[:, ::-1], ARMS).write(tmp_path / "r.parquet")
    read = Response.read(tmp_path / "r.parquet")
    assert_array_equal(read.value, VALUE)
    assert_array_equal(read.cost, COST[:, ::-1])


def write(path, **columns):
    """A Parquet file of the given columns; two underscores stand for the dot."""
    pq.write_table(pa.table({name.replace("__", "."): cells for name, cells in columns.items()}), path)
    return path


def test_attribute_columns_and_no_ids(tmp_path):
    """Further columns are left alone, ids may be absent, cost is found by name and not by place."""
    path = write(
        tmp_path / "r.parquet",
        segment=["x", "y"],
        cost__a=[0.0, 0.0],
        cost__n=[1.0, 1.5],
        value__n=[1, 2],
        resource__minutes__a=[3.0, 4.0],
        value__a=[5, 6],
    )
    read = Response.read(path)
    assert read.arms == ("n", "a")
    assert_array_equal(read.value, [[1, 5], [2, 6]])
    assert_array_equal(read.cost, [[1, 0], [1.5, 0]])
    assert read.user_id is None


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user_id": [1]}, r"has no value\.<arm> column; a response table has value\.<arm> and cost\.<arm>"),
        ({"value__n": [1.0], "value__a": [1.0], "cost__n": [1.0]}, r"'cost\.a' is not in the table.*'cost\.n'"),
        ({"value__n": [1.0, None], "cost__n": [1.0, 1.0]}, r"'value\.n' has 1 missing.* of 2 cells.*row 1"),
        ({"value__n": [1.0], "cost__n": [float("inf")]}, r"'cost\.n' has 1 infinite"),
        ({"value__n": ["1"], "cost__n": [1.0]}, r"'value\.n' holds String cells such as '1'"),
        ({"value__n": pa.array([], pa.float64()), "cost__n": pa.array([], pa.float64())}, r"0 rows"),
    ],
)
def test_files_that_are_no_response_table(tmp_path, columns, message):
    """The message names the column and the count."""
    with pytest.raises(InputError, match=message):
        Response.read(write(tmp_path / "r.parquet", **columns))


def test_missing_file(tmp_path):
    """The message of every table file."""
    with pytest.raises(InputError, match="does not exist"):
        Response.read(tmp_path / "r.parquet")


def holed(table, cell):
    """The table with one cell of row 2 replaced."""
    table = table.copy()
    table[2, 1] = cell
    return table


@pytest.mark.parametrize(
    ("value", "cost", "ids", "message"),
    [
        (VALUE, COST[:, :2], None, r"value has shape \(4, 3\) and cost \(4, 2\); both must be \(users, 3\)"),
        (VALUE[:3], COST, None, r"value has shape \(3, 3\) and cost \(4, 3\)"),
        (VALUE[:, :2], COST[:, :2], None, r"both must be \(users, 3\), a column for each of none, mail, 10\.5 EUR"),
        (VALUE[0], COST[0], None, r"value has shape \(3,\)"),
        (VALUE, COST, np.arange(3), r"user_id has shape \(3,\) for 4 users"),
        (holed(VALUE, np.nan), COST, None, r"value has 1 missing \(NaN\) of 12 cells, the first in row 2"),
        (VALUE, holed(COST, -np.inf), None, r"cost has 1 infinite of 12 cells, the first in row 2"),
    ],
)
def test_tables_that_do_not_fit(value, cost, ids, message):
    """Shapes must agree with each other, with the arms and with the ids; cells must be finite."""
    with pytest.raises(InputError, match=message):
        Response(value, cost, ARMS, ids)


@pytest.mark.parametrize(
    "table", [VALUE.tolist(), VALUE.astype(str), VALUE.astype(object)], ids=["list", "text", "object"]
)
def test_tables_that_are_no_arrays_of_floats(table):
    """Lists and objects are turned into arrays of numbers, text is refused."""
    try:
        response = Response(table, COST, ARMS)
    except InputError:
        return
    assert_array_equal(response.effect, Response(VALUE, COST, ARMS).effect)


def test_arm_named_twice():
    """Two columns of one name cannot both be written."""
    with pytest.raises(InputError, match="'mail'"):
        Response(VALUE, COST, ("none", "mail", "mail"))


@pytest.mark.parametrize("ids", [[1, 1], [1, None]], ids=["twice", "missing"])
def test_users_in_the_file_are_unique_and_named(tmp_path, ids):
    """An id that stands twice or not at all would be decided for twice or for nobody."""
    with pytest.raises(InputError, match="user_id"):
        Response.read(write(tmp_path / "r.parquet", user_id=ids, value__n=[1.0, 2.0], cost__n=[0.0, 0.0]))


def test_write_where_no_folder_is(tmp_path):
    """The message names the path."""
    with pytest.raises(InputError, match=r"gone"):
        Response(VALUE, COST, ARMS).write(tmp_path / "gone" / "r.parquet")


def test_whole_numbers_do_not_wrap_round():
    """In unsigned bytes 1 - 2 would be 255."""
    table = np.array([[2, 1]], dtype=np.uint8)
    assert_array_equal(Response(table, table, ("none", "mail")).effect, [[-1.0]])


def test_single_precision_stays_single(tmp_path):
    """What was written as float32 is read as float32."""
    Response(VALUE.astype(np.float32), COST.astype(np.float32), ARMS).write(tmp_path / "r.parquet")
    assert Response.read(tmp_path / "r.parquet").value.dtype == np.float32


def test_ids_that_no_table_can_hold(tmp_path):
    with pytest.raises(InputError, match=r"user_id has shape \(\) for 4 users"):
        Response(VALUE, COST, ARMS, 7)
    assert Response(VALUE, COST, ARMS, [7, 8, 9, 10]).take(np.array([2])).user_id.tolist() == [9]
    mixed = Response(VALUE, COST, ARMS, np.array([7, "a", 9, 10], dtype=object))
    with pytest.raises(InputError, match=r"the response table cannot be written to .*r\.parquet"):
        mixed.write(tmp_path / "r.parquet")
    assert not (tmp_path / "r.parquet").exists()
