"""Which tokens of a batch are computed, and where they lie in the grid."""

from __future__ import annotations

from torch import Tensor


class Rows:
    """Where the rows of a signal (T, R, C) lie in the grid (T, B, N, C).

    Tokens without any input spike are left out of an integer run: without bias currents they are
    silent in every layer, so leaving them out is exact. A token within reach of one that does spike stays.
    """

    def __init__(self, x: Tensor, keep_silent: bool, reach: int) -> None:
        """``x`` is the input, bool (T, B, N, C); ``reach`` is how many tokens ahead an output depends on.

        With ``keep_silent`` nothing depends on values of ``x``, as a captured run needs.
        """
        self.batch, self.tokens = x.shape[1], x.shape[2]
        self.kept: Tensor | None = None
        if keep_silent:
            return
        own = x.any(dim=-1).any(dim=0)
        active = own.clone()
        for ahead in range(1, min(reach, self.tokens - 1) + 1):
            active[:, :-ahead] |= own[:, ahead:]
        active = active.flatten()
        if not bool(active.all()):
            self.kept = active.nonzero().squeeze(1)

    def from_grid(self, x: Tensor) -> Tensor:
        flat = x.flatten(1, 2)
        return flat if self.kept is None else flat[:, self.kept]

    def to_grid(self, x: Tensor) -> Tensor:
        if self.kept is None:
            return x.unflatten(1, (self.batch, -1))
        grid = x.new_zeros((x.shape[0], self.batch * self.tokens, x.shape[2]))
        grid[:, self.kept] = x
        return grid.unflatten(1, (self.batch, self.tokens))

    def window(self, x: Tensor, size: int) -> Tensor:
        """Each token's channels beside those of the next ``size - 1``, zero beyond the last slot."""
        grid, channels = self.to_grid(x), x.shape[2]
        tokens = grid.shape[2]  # a pool may have changed their number
        wide = grid.new_zeros((*grid.shape[:3], size * channels))
        for ahead in range(min(size, tokens)):
            wide[:, :, : tokens - ahead, ahead * channels : (ahead + 1) * channels] = grid[:, :, ahead:]
        return self.from_grid(wide)
