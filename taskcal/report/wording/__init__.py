"""How numbers and sentences are written, the same in every format."""
