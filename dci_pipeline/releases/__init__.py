"""What a release says and how two of them differ: rows by key, movements, schema, method; as values, JSON and text.

Pure: frames and plain values in, frames and plain values out. `warehouse.releases` keeps releases on disk.
"""
