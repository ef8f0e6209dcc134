"""Judges a partner's delivery: which rows count, which are set aside and why, and what the accepted rows add up to.

`scan` is the heavy stage over the typed rows, `verdict` the pass marks, `expectations` the same through Great
Expectations. Nothing here opens a file or knows which engine runs the scan.
"""
