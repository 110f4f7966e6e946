"""Networks on many accelerators: which designs there are, what each costs, and the files that hold it."""
