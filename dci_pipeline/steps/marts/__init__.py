"""The steps of the published tables, one module per family; none is imported before it runs."""
