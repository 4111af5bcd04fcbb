"""A file elsewhere as Arrow reads it: every read asks for its own range, so that readers never disturb each other."""

from __future__ import annotations

import io
from typing import Any


class RemoteFile(io.RawIOBase):
    """A read-only file of `size` bytes on an fsspec file system.

    Files that fsspec opens may share one position (`memory://` does) or read ahead what a reader of columns never
    wants; ranges have neither trouble.
    """

    def __init__(self, system: Any, path: str, size: int) -> None:
        super().__init__()
        self.system, self.path, self.bytes, self.at = system, path, size, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def size(self) -> int:
        """Bytes in all."""
        return self.bytes

    def tell(self) -> int:
        """Where the next read begins."""
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place counted from the start, from here or from the end."""
        self.at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.bytes}[whence]
        return self.at

    def read(self, size: int | None = -1) -> bytes:
        """The next `size` bytes, fewer at the end only."""
        end = self.bytes if size is None or size < 0 else min(self.at + size, self.bytes)
        if end <= self.at:
            return b""
        content: bytes = self.system.cat_file(self.path, start=self.at, end=end)
        self.at += len(content)
        return content

    def readinto(self, buffer: Any) -> int:
        """The next bytes into a buffer; how many."""
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)
