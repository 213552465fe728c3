"""What becomes of a mark: attacks on a marked student, each with a dial, and the curve that they give."""
