"""Ways on which a spoken sentence arrives."""
