"""The only package that opens, commits or deletes paths under the warehouse.

`store.Warehouse` keeps committed tables, `deliveries` keeps what partners sent, `catalogue` publishes the DuckDB file.
Every write is made beside its target and renamed over it; every partition has its stamp beside it.
"""
