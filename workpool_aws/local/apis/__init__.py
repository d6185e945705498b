"""AWS's HTTP APIs as far as the stand-in answers them."""
