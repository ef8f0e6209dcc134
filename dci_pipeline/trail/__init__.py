"""The trail of one published number: what it is made of, what moved it, and how each step is calculated again.

Frames and plain values in, plain values out: no disk, no settings. Nothing is published by this stage; what it says is
held against the published tables.
"""
