"""The only module Dagster loads: it assembles, from data_contracts/, one set of assets per index, and nothing else."""
