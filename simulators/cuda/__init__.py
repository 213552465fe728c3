"""What the simulator adds on a CUDA device: a fused neuron scan, fed input, captured graphs."""
