"""What if: networks and accelerators side by side, and what none of them beats."""
