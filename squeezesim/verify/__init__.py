"""Is it true: simulators that play the array cycle by cycle, and published results beside ours."""
