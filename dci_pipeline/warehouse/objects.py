"""Paths on object storage: an address s3://bucket/prefix asked and written as a folder on a disk is.

What an object store cannot do raises instead of touching the local disk: there is no rename, no folder, no lock of the
kernel, and no file for a library to open. Whole objects are put; each appears at once or not at all, and whoever asks
afterwards sees it. Nothing is remembered between two questions. The client reads credentials and endpoint from the
environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL); nothing here
holds them.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PosixPath
from typing import IO, TYPE_CHECKING, Any, NoReturn

from dci_pipeline.findings import Finding, Unanswered, Unfit

if TYPE_CHECKING:
    from obstore.store import S3Store

SCHEME = "s3://"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9_.=-]*)*")
# A request that is not answered is given up and sent again by the client, then by the step (see retrying).
_CONNECT, _ANSWER, _TRIES = "5s", "120s", 3
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")


def is_address(text: str) -> bool:
    """Whether a setting names object storage."""
    return "://" in text


def at(text: str) -> ObjectPath:
    """The path of an address. Raises Finding for another scheme, for credentials in it, or for an unusual name."""
    bucket, slash, prefix = text.removeprefix(SCHEME).rstrip("/").partition("/")
    if not text.startswith(SCHEME) or not _BUCKET.fullmatch(bucket) or not _PREFIX.fullmatch(slash + prefix):
        raise Finding(
            "not an address on object storage",
            where="DCI_WAREHOUSE",
            # An address may have been given with a password in it: what was found is not repeated.
            found="another scheme, credentials, a query or an unusual character in it",
            expected="s3://bucket/prefix of letters, digits and _ . = -; credentials and endpoint stand in AWS_*",
            todo="correct DCI_WAREHOUSE",
        )
    return ObjectPath("/", bucket, *prefix.split("/"))


class ObjectPath(PosixPath):
    """One object, or the objects whose names begin with this one and a slash."""

    def __str__(self) -> str:
        text = super().__str__()
        # What stands relative to another path is a name, no address.
        return SCHEME + text.lstrip("/") if text.startswith("/") else text

    def __repr__(self) -> str:
        return f"ObjectPath({str(self)!r})"

    def __fspath__(self) -> str:
        raise TypeError(f"{self} is on object storage: no file of it is on this machine")

    def __reduce__(self) -> tuple[Any, ...]:
        return (ObjectPath, ("/", *self.parts[1:]))

    @property
    def bucket(self) -> str:
        return self.parts[1]

    @property
    def key(self) -> str:
        return "/".join(self.parts[2:])

    # Asking -------------------------------------------------------------------------------------------------------

    def head(self) -> dict[str, Any]:
        """Size, time and ETag of the object. Raises FileNotFoundError when there is none."""
        import obstore

        with answered(self):
            return dict(obstore.head(_store(self.bucket), self.key))

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        found = self.head()
        seconds = found["last_modified"].timestamp()
        which = int.from_bytes(str(found["e_tag"]).encode()[:16])
        return os.stat_result((0o100644, which, 0, 1, 0, 0, found["size"], seconds, seconds, seconds))

    def is_file(self) -> bool:
        try:
            self.head()
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        return next(self._names(few=True), None) is not None

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        return self.is_file() or self.is_dir()

    def read_bytes(self) -> bytes:
        import obstore

        with answered(self):
            return obstore.get(_store(self.bucket), self.key).bytes().to_bytes()

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def open(self, mode: str = "r", *_: Any, **__: Any) -> IO[Any]:  # type: ignore[override]
        """A local copy for reading bytes, gone when it is closed; a large object never stands in memory."""
        if mode != "rb":
            self._refuse()
        import obstore

        copy = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who asked for it
        try:
            with answered(self):
                for chunk in obstore.get(_store(self.bucket), self.key).stream():
                    copy.write(bytes(chunk))
        except BaseException:
            copy.close()
            raise
        copy.seek(0)
        return copy

    def fetch(self, target: Path) -> Path:
        """The object as a file of this machine."""
        with self.open("rb") as copy, target.open("wb") as file:
            shutil.copyfileobj(copy, file, 1 << 20)
        return target

    def glob(self, pattern: str) -> Iterator[ObjectPath]:  # type: ignore[override]
        """Objects and what would be folders that match; every name below this one is listed for it."""
        wanted, seen = pattern.split("/"), set[tuple[str, ...]]()
        depth = None if "**" in wanted else len(wanted)
        start = self
        while len(wanted) > 1 and not re.search(r"[*?\[]", wanted[0]):
            start, wanted = start / wanted[0], wanted[1:]
            depth = None if depth is None else depth - 1
        for name in start._names():
            parts = tuple(name.split("/"))
            for length in range(1, len(parts) + 1) if depth is None else [depth]:
                found = parts[:length]
                if len(found) == length and found not in seen and _matches(found, wanted):
                    seen.add(found)
                    yield start.joinpath(*found)

    def rglob(self, pattern: str) -> Iterator[ObjectPath]:  # type: ignore[override]
        return self.glob(f"**/{pattern}")

    def iterdir(self) -> Iterator[ObjectPath]:  # type: ignore[override]
        return self.glob("*")

    def _names(self, *, few: bool = False) -> Iterator[str]:
        """Names of the objects below this one, from here."""
        import obstore

        prefix = self.key + "/" if self.key else ""
        with answered(self):
            for batch in obstore.list(_store(self.bucket), prefix, chunk_size=1 if few else 1000):
                yield from (item["path"].removeprefix(prefix) for item in batch)

    # Writing ------------------------------------------------------------------------------------------------------

    def put(self, content: bytes | Path, *, instead_of: str | None = None, new: bool = False) -> str | None:
        """Put an object in one go: bytes, or a file of this machine; its ETag.

        With `new` only where there is none, with `instead_of` only in place of that ETag; None when it is otherwise.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = "create" if new else {"e_tag": instead_of} if instead_of else "overwrite"
        with answered(self):
            try:
                return obstore.put(_store(self.bucket), self.key, content, mode=mode)["e_tag"]
            except (AlreadyExistsError, PreconditionError):
                if mode == "overwrite":
                    raise
                return None
            except FileNotFoundError:
                # In place of an object that somebody has taken away meanwhile.
                if instead_of is None:
                    raise
                return None

    def unlink(self, missing_ok: bool = False) -> None:
        import obstore

        with answered(self):
            obstore.delete(_store(self.bucket), self.key)

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing: an object's name needs no folder."""

    def resolve(self, strict: bool = False) -> ObjectPath:
        return self

    def absolute(self) -> ObjectPath:
        return self

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise Unfit(
            "object storage cannot do this",
            where=str(self),
            found="work that needs a folder on a disk",
            expected="landing, runs, publishing and reading",
            todo="see docs/object_storage.md for what is not done on object storage, and what to do instead",
        )

    write_bytes = write_text = rename = replace = rmdir = touch = symlink_to = hardlink_to = chmod = _refuse  # type: ignore[assignment]
    lstat = samefile = is_symlink = is_mount = expanduser = owner = group = lchmod = readlink = _refuse  # type: ignore[assignment]


def _matches(parts: tuple[str, ...], pattern: list[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[skip:], pattern[1:]) for skip in range(len(parts) + 1))
    # What is written [!.] for a path on a disk, fnmatch reads alike.
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def local(path: Path, folder: Path) -> Path:
    """The path itself when it is of a disk, else a copy in `folder`: what an engine opens."""
    if not isinstance(path, ObjectPath):
        return path
    handle, name = tempfile.mkstemp(suffix=f"-{path.name}", dir=folder)
    os.close(handle)
    return path.fetch(Path(name))


def scratch(root: Path) -> Path:
    """Where this machine works for a warehouse: the warehouse itself on a disk, else a folder of this machine.

    For object storage below DCI_SCRATCH, or ~/.local/share/dci_pipeline. Raises Finding when that is no absolute path.
    """
    if not isinstance(root, ObjectPath):
        return root
    given = Path(os.environ.get("DCI_SCRATCH") or Path.home() / ".local/share/dci_pipeline")
    if not given.is_absolute() or (given.exists() and not given.is_dir()):
        raise Finding(
            "not a folder of this machine",
            where="DCI_SCRATCH",
            found=str(given),
            expected="an absolute path to a folder, which need not be there yet, with room for the largest delivery",
            todo="correct DCI_SCRATCH, or unset it",
        )
    return given.joinpath(*root.parts[1:])


def refuse(root: Path, what: str, todo: str) -> None:
    """Raises Finding for what is done only in a warehouse on a disk."""
    if isinstance(root, ObjectPath):
        raise Finding(
            f"{what} is not done on object storage",
            where=str(root),
            found="a warehouse on object storage",
            expected="a warehouse on a disk",
            todo=todo,
        )


@cache
def _store(bucket: str) -> S3Store:
    """The client of a bucket, once it has answered. Raises Finding as `answered` does, or without its library."""
    try:
        import obstore
        from obstore.store import S3Store
    except ImportError as error:
        raise Finding(
            "the library for object storage is not installed",
            where=f"{SCHEME}{bucket}",
            found="no obstore",
            expected="the optional extra s3",
            todo="pip install 'dci_pipeline[s3]', or set DCI_WAREHOUSE to a folder",
        ) from error
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    where = ObjectPath("/", bucket)
    with answered(where):
        made = S3Store(
            bucket,
            client_options={
                "connect_timeout": _CONNECT,
                "timeout": _ANSWER,
                "allow_http": endpoint.startswith("http://"),
            },
            retry_config={"max_retries": _TRIES},  # type: ignore[arg-type]
        )
        # Asked for one object, a store without the bucket says only that there is no such object.
        next(iter(obstore.list(made, chunk_size=1)), None)
    return made


@contextmanager
def answered(path: ObjectPath) -> Iterator[None]:
    """Raises FileNotFoundError for an object that is not there, Unfit for a refusal, Unanswered for no answer."""
    from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, PreconditionError
    from obstore.exceptions import UnauthenticatedError as Unknown

    try:
        yield
    except (AlreadyExistsError, PreconditionError):
        raise
    except (BaseError, FileNotFoundError) as error:
        text = str(error)
        said = _CODE.search(text)
        status = _STATUS.search(text)
        # Only code and status: the rest may quote the request.
        short = ", ".join([*(said.groups() if said else ()), *(status.groups() if status else ())]) or "no answer"
        if isinstance(error, FileNotFoundError) and not (said and said.group(1) == "NoSuchBucket"):
            raise FileNotFoundError(2, "no such object", str(path)) from None
        if said and said.group(1) == "NoSuchBucket":
            raise Unfit(
                "no such bucket",
                where=str(path),
                found=short,
                expected=f"bucket {path.bucket} at the endpoint",
                todo="make the bucket, or correct DCI_WAREHOUSE, AWS_ENDPOINT_URL and AWS_REGION",
            ) from None
        if isinstance(error, PermissionDeniedError | Unknown):
            raise Unfit(
                "object storage refuses",
                where=str(path),
                found=short,
                expected="leave to list, get, put and delete objects under the warehouse's address",
                todo="check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and the bucket's policy",
            ) from None
        if status and status.group(1).startswith(("3", "4")) and status.group(1) not in ("408", "429"):
            raise Unfit(
                "object storage does not take the request",
                where=str(path),
                found=short,
                expected="a store with S3's interface and conditional writes",
                todo="check AWS_ENDPOINT_URL, AWS_REGION and the clock of this machine",
            ) from None
        raise Unanswered(
            "object storage does not answer",
            where=str(path),
            found=short,
            expected=f"an answer within {_TRIES + 1} tries",
            todo="check AWS_ENDPOINT_URL and the network, then run the same again: what is committed stays",
        ) from None
