"""The benchmark of molecules: cases, arms, peers and the report."""
