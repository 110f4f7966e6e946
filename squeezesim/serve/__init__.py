"""A local page on which a network and an accelerator are changed, and what that costs follows."""
