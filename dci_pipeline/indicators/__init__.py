"""From accepted sums to indicator values: one integer, or nothing, per place × indicator × period (METHOD 5-8)."""
