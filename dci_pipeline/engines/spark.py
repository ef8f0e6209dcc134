"""The heavy stage on Apache Spark, through a Spark Connect server: this process asks, the workers read and write.

Counts, sums and small tables cross the connection; rows stay with the workers, who must see the paths handed to
`scan` and `sink` under the same name as this process does. The address may be told, its parameters never.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import narwhals.stable.v2 as nw

from dci_pipeline.engines.dtypes import canonical
from dci_pipeline.findings import Finding

if TYPE_CHECKING:
    import polars as pl

# Seconds after which a server that does not answer counts as unreachable.
_REACH = 15.0
# How often a call is tried again on a connection that broke: about fifteen seconds in all.
_RETRIES, _LONGEST_PAUSE_MS = 6, 5_000
_SETTINGS = {
    # Nothing is left to the cluster's taste: a sum that does not fit is an error, a name means the column spelled so.
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    # A file that is gone or damaged is not an empty one.
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
}
_TODO = "see docs/spark.md: look at the server's log, then run again"


class Spark:
    """Satisfies engines.Engine. A session of its own on the server, ended by `close`."""

    rows_at_once = None  # it spills

    def __init__(self, address: str, *, parameters: str = "") -> None:
        """`address`: sc://host:port. `parameters`: token=…;use_ssl=true and the like, told to nobody.

        Raises Finding when pyspark is not installed and, within half a minute, when no server answers.
        """
        self.address = address
        # Every word of them, wherever the server's answer repeats one.
        self._secrets = [part.partition("=")[2] or part for part in parameters.split(";") if part]
        self._kept: list[Any] = []
        self._session = self._open(parameters)

    def __repr__(self) -> str:
        return f"Spark({self.address!r})"

    def _open(self, parameters: str) -> Any:
        import warnings

        # Results come as Arrow: what the client thinks of the version of pandas does not matter.
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas", category=FutureWarning)
        try:
            import grpc
            from pyspark.sql.connect.client import DefaultChannelBuilder  # pyright: ignore[reportMissingImports]
            from pyspark.sql.connect.client.retries import DefaultPolicy  # pyright: ignore[reportMissingImports]
            from pyspark.sql.connect.session import SparkSession  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise Finding(
                "the Spark client is not installed",
                where="DCI_ENGINE",
                found=f"no module {error.name}",
                expected="pyspark with Spark Connect",
                todo="pip install 'dci_pipeline[spark]'",
            ) from None
        try:
            builder = DefaultChannelBuilder(f"{self.address}/;{parameters}" if parameters else self.address)
            channel = builder.toChannel()
        except Exception as error:
            # The parser's message may repeat a parameter, so neither it nor its cause is passed on.
            raise Finding(
                "not the address of a Spark Connect server",
                where="DCI_ENGINE",
                found=f"{self.address} and its parameters ({type(error).__name__})",
                expected="sc://host:port or sc://host:port/;use_ssl=true;token=…",
                todo="correct DCI_ENGINE",
            ) from None
        try:
            grpc.channel_ready_future(channel).result(timeout=_REACH)
        except grpc.FutureTimeoutError:
            raise self._unreachable(f"no answer within {_REACH:.0f} s") from None
        finally:
            channel.close()
        with self._told():
            session = SparkSession.builder.channelBuilder(builder).create()
            session.client.set_retry_policies(
                [DefaultPolicy(max_retries=_RETRIES, max_backoff=_LONGEST_PAUSE_MS, max_server_retry_delay=10_000)]
            )
            for name, value in _SETTINGS.items():
                session.conf.set(name, value)
        return session

    def scan(self, paths: Sequence[Path]) -> nw.LazyFrame[Any]:
        with self._told():
            # Partition folders say year=, month=, partner=; looked up recursively they are no columns of the file.
            reader = self._session.read.option("recursiveFileLookup", "true")
            rows = reader.parquet(*[_uri(path) for path in paths])
            _ = rows.schema  # asked for now, so that a file the server cannot see is missed here
        return nw.from_native(rows)

    def small(self, frame: pl.DataFrame) -> nw.LazyFrame[Any]:
        with self._told():
            return nw.from_native(self._session.createDataFrame(frame.to_arrow()))

    def keep(self, parts: Iterable[nw.LazyFrame[Any]]) -> nw.LazyFrame[Any] | None:
        with self._told():
            first, *others = [part.to_native() for part in parts]
            for other in others:
                first = first.unionAll(other)
            # Used more than once, and gone with the session; a part that is lost with its worker is made again.
            first = first.persist()
            self._kept.append(first)
            return None if first.isEmpty() else nw.from_native(first)

    def collect(self, lazy: nw.LazyFrame[Any]) -> pl.DataFrame:
        import polars as pl

        with self._told():
            answer = lazy.to_native().toArrow()
        return canonical(cast("pl.DataFrame", pl.from_arrow(answer)))

    def sink(self, lazy: nw.LazyFrame[Any], path: Path) -> list[Path]:
        with self._told():
            lazy.to_native().write.parquet(_uri(path, literal=True), mode="error", compression="zstd")
        # The server marks what is complete; where it wrote to a disk of its own there is nothing here.
        if not (path / "_SUCCESS").is_file():
            raise Finding(
                "what the workers wrote is not to be seen from here",
                where=str(path),
                found="no finished result",
                expected=f"the folder on storage that this machine and the workers of {self.address} share",
                todo="put the warehouse on shared storage under the same path everywhere: docs/spark.md",
            )
        return sorted(path.glob("part-*.parquet"))

    def close(self) -> None:
        """Ends the session; of a server that has gone there is nothing left to end."""
        try:
            for frame in self._kept:
                frame.unpersist()
        except Exception:
            self._kept.clear()
        finally:
            self._session.stop()

    def _unreachable(self, found: str) -> Finding:
        return Finding(
            "the engine cannot be reached",
            where=self.address,
            found=found,
            expected="a Spark Connect server",
            todo="start the server, or correct DCI_ENGINE; nothing runs on another engine instead",
        )

    @contextmanager
    def _told(self) -> Generator[None]:
        """What the client raises becomes a Finding, without a word of the parameters in it."""
        import grpc
        from pyspark.errors import PySparkException  # pyright: ignore[reportMissingImports]

        try:
            yield
        except (PySparkException, grpc.RpcError) as error:
            text = self._without_secrets(str(error))
            if re.search(r"ARITHMETIC_OVERFLOW|CAST_OVERFLOW|NUMERIC_VALUE_OUT_OF_RANGE", text):
                raise Finding(
                    "an integer beyond 64 bits",
                    where=self.address,
                    found=_first_lines(text),
                    expected=f"at most {2**63 - 1}",
                    todo="count in a larger unit",
                ) from None
            if re.search(r"UNAVAILABLE|RETRIES_EXCEEDED|DEADLINE_EXCEEDED|UNAUTHENTICATED|failed to connect", text):
                raise self._unreachable(_first_lines(text)) from None
            if "PATH_NOT_FOUND" in text or "FAILED_READ_FILE" in text:
                raise Finding(
                    "the engine cannot read a file of the warehouse",
                    where=self.address,
                    found=_first_lines(text),
                    expected="the warehouse on storage that this machine, the server and the workers share",
                    todo="put it there under the same path everywhere, readable by the server's user: docs/spark.md",
                ) from None
            raise Finding(
                "the engine could not do its work", where=self.address, found=_first_lines(text), todo=_TODO
            ) from None

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text


def _first_lines(text: str) -> str:
    return " ".join(text.strip().split("\n")[:3])[:600]


def _uri(path: Path, *, literal: bool = False) -> str:
    """The path as Spark reads it: of a path to read, signs of a pattern are escaped, for it would be expanded."""
    plain = str(path.absolute())
    return "file://" + (plain if literal else re.sub(r"([\\\[\]{}*?])", r"\\\1", plain))
