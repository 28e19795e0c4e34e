"""`gated office`: one module for each noun. `office` joins them into the command group."""
