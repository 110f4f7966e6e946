"""compare: results side by side, relative to a baseline, as a whole or aligned by stage or layer."""
