"""What a source says it has read."""

from __future__ import annotations

import hashlib
import json

import fsspec
import pyarrow.parquet as pq
from response_tables import responses, write

from allocation.jobs.tables.open import open_responses


def test_each_file_has_its_checksum(tmp_path):
    write(tmp_path / "sub", responses(5))
    write(tmp_path, responses(7, 5))
    source = open_responses(tmp_path)
    source.start_fingerprint()
    told = source.fingerprint()
    assert json.loads(json.dumps(told)) == told
    assert (told["rows"], told["arms"]) == (12, ["none", "mail", "coupon"])
    for entry, rows in zip(told["files"], (7, 5), strict=True):
        content = (tmp_path / entry["name"]).read_bytes()
        assert entry == {
            "name": entry["name"],
            "bytes": len(content),
            "rows": rows,
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    assert [entry["name"] for entry in told["files"]] == ["a.parquet", "sub/a.parquet"]


def test_a_file_elsewhere_has_a_version_and_its_footer_s_checksum():
    memory = fsspec.filesystem("memory")
    try:
        with memory.open("/print-test/a.parquet", "wb") as file:
            pq.write_table(responses(5), file)
        (entry,) = open_responses("memory://print-test").fingerprint()["files"]
        content = memory.cat_file("/print-test/a.parquet")
        length = int.from_bytes(content[-8:-4], "little") + 8
        assert set(entry) == {"name", "bytes", "rows", "version", "footer_sha256"}
        assert entry["footer_sha256"] == hashlib.sha256(content[-length:]).hexdigest()
        with memory.open("/print-test/a.parquet", "wb") as file:
            pq.write_table(responses(6), file)
        (other,) = open_responses("memory://print-test").fingerprint()["files"]
        assert other["version"] != entry["version"]
    finally:
        memory.rm("/print-test", recursive=True)
