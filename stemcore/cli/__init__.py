"""The command line: verbs; it prints and sets exit codes, and nothing else."""
