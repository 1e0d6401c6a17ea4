"""Statistics of evals: arrays of scores in, values with their uncertainty out; knows no suite, no run and no store.

Formulas, evidence and reference values were decided once, by simulation; each formula names its source.
Nothing is imported here, so that a caller loads numpy and scipy only with the module it asks for.
"""
