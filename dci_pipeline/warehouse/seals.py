"""Seals: a file's own SHA-256 inside it, so that a byte that has changed on disk is noticed before it is computed with.

The digest is taken with its own place blanked out, so it covers every byte, the footer included, and is looked for in
the bytes alone: a damaged file never reaches a Parquet reader, some of which end the process over one. It does not
depend on the Parquet writer, as encoding the rows again to compare data versions would: another release of it would
make every table look damaged, and each read would take three times as long. Hashing adds a tenth.
"""

from __future__ import annotations

import hashlib

SEAL_KEY = "dci.seal"
MARK = b"dci:sha256:"
BLANK = b"-" * 64
UNSEALED = (MARK + BLANK).decode()


def seal(content: bytes) -> bytes:
    """`content`, which carries `UNSEALED`, with its digest in that place."""
    start = _place(content)
    return b"".join((content[:start], _digest(content, start), content[start + len(BLANK) :]))


def difference(content: bytes) -> tuple[str, str] | None:
    """What is found and what its seal expects when they differ; None for content that is as it was sealed."""
    start = _place(content)
    if start < 0:
        return "no seal", "a file with its own SHA-256 in it"
    found, expected = _digest(content, start), content[start : start + len(BLANK)]
    if found == expected:
        return None
    return f"SHA-256 {found.decode()}", f"SHA-256 {expected.decode('ascii', 'backslashreplace')}"


def _place(content: bytes) -> int:
    """Where the digest stands: the last one counts, as the footer is last. Negative when there is none."""
    mark = content.rfind(MARK)
    return mark + len(MARK) if mark >= 0 else -1


def _digest(content: bytes, start: int) -> bytes:
    view = memoryview(content)
    digest = hashlib.sha256(view[:start])
    digest.update(BLANK)
    digest.update(view[start + len(BLANK) :])
    return digest.hexdigest().encode()
