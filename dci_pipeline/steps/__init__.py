"""One function per table: load, call the pure function, commit. Dagster assets and `dci run` each call one of these.

One module per stage. A step first compares the stamp its inputs would give with the committed one and does nothing when
they agree. Nothing is imported here: the path imports a stage's steps when one of them runs.
"""
