"""The whole pipe on one student: lower, simulate, price, run on Lava, test ownership, report."""
