"""One page of HTML that holds everything: reports with charts, tables and findings, opened from disk, offline."""
