"""The theory, executed: one theorem a module, and a ledger that prints what each one rests on."""
