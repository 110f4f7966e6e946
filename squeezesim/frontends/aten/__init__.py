"""What PyTorch's operators become: a file for each kind of operator."""
