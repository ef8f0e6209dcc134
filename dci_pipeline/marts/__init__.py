"""Published tables: entities, ranks, growth, quality and dimensions, in the columns their contracts promise."""
