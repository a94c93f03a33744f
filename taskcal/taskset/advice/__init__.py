"""Warnings about valid tasksets."""
