"""The pure core: values in, values out. No docker, no files, no clock, no randomness, no terminal."""
