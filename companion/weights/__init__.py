"""What a weight file is and what it is for."""
