"""Calibration of the simulated feeds: cells whose results come as close to printed numbers as these allow.

`facts` reads printed numbers and assumptions, `atlas` finds the places an entity stands for, `unknowns` lays out the
cells, `targets` turns facts into linear conditions, `solve` fits the cells, `paths` spreads spans over months, and
`world` puts the parts together. Nothing here names a place or a node: all of that is data.
"""
