"""The published setting at 7–8 B as a recipe: stages, hours, and a dry run at a tiny size."""
