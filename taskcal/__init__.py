"""taskcal: calibrate tasksets for reinforcement learning before compute is spent on them."""

__version__ = "0.1.0"
