"""Bounds as functions of scores: the table of f-divergences, DV and its kin, and how they are read from samples."""
