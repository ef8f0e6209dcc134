"""The index made again from the typed deliveries in plain SQL, and compared with the published tables."""
