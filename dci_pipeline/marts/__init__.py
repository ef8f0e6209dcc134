"""Published tables: entities, ranks, growth, quality and dimensions, in the columns their contracts promise."""

# The entity type of the whole: the sum of all places.
NATION = "nation"
