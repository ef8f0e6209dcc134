"""An index production system: partner deliveries in, a published composite index out.

The package's folders are the data's path: feeds, validation, indicators, normalise, weight, index, marts.
Importing the package imports nothing else.
"""

__version__ = "0.1.0"
