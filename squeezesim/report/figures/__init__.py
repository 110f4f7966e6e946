"""Figures of reports, a file for each kind; matplotlib is imported where one is drawn."""
