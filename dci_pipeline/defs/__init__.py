"""Dagster declarations and nothing else: every asset, check, job and schedule follows from the path and the contracts.

No computation and no engine here: an asset's body calls one step and records what the step says. Import the modules,
not the package.
"""
