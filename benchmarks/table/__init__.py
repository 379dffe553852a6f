"""The table of every model on every target: models, cells (single fits) and the report."""
