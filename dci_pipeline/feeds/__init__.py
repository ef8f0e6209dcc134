"""Feeds: what a partner sends, from bytes to typed rows, and the simulated partners that stand in for real ones.

Takes binary streams and plain values and opens no path; nothing here knows the warehouse. Import the modules, not
the package.
"""
