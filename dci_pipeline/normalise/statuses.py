"""How sure an observation is, as every row of a table says it (METHOD section 6)."""

# weakest first
STATUSES = ("A", "P", "E", "B", "M")
