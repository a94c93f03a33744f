"""What counts say about rates: numbers in, numbers out."""
