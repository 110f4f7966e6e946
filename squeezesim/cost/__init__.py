"""What it costs: pure functions over arrays from (layers, accelerators) to cycles, losses, traffic and energy."""
