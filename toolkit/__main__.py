"""``python -m toolkit``: the command ``spikeport``, for launchers that start a module (accelerate, torchrun)."""

from toolkit.cli.main import main

if __name__ == "__main__":
    main()
