"""Experts: closed-form log-ratios and estimates beside or instead of a network."""
