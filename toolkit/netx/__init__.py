"""lava-dl's reader ``netx`` beside our simulator."""
