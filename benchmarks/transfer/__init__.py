"""The table of transfer: cases, arms, cells (single fits) and the report."""
