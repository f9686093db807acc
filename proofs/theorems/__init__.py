"""One theorem a module: the module's name is the slug and its `THEOREM` is the theorem."""
