"""Bits that stored synapses take, by how a chip stores them."""

from __future__ import annotations

from dataclasses import dataclass

from hw_profiles import Profile

NETWORK_WEIGHT_BITS = 8  # even integers of [-256, 254]
MATRIX = "matrix"
SPARSE_LISTS = "sparse lists"
FULL_LISTS = "full lists"


@dataclass(frozen=True)
class SynapseStore:
    """How one chip stores synapses, in bits; 0 for what it does not state.

    Attributes:
        lists: input lists of single synapses; otherwise one matrix.
        longest: synapses that one list holds at most, 0 for any number; a longer one goes on in another list.
    """

    weight: int
    index: int = 0
    delay: int = 0
    header: int = 0
    word: int = 1
    longest: int = 0
    lists: bool = True

    @classmethod
    def of(cls, profile: Profile, weight_bits: int = NETWORK_WEIGHT_BITS) -> SynapseStore:
        """As the profile states it; a chip whose weight bits are not stated stores the network's."""
        names = ("index_bits", "delay_bits", "list_header_bits", "word_bits", "list_synapses")
        index, delay, header, word, longest = (int(profile.limit(name) or 0) for name in names)
        weight = int(profile.limit("weight_bits") or weight_bits)
        return cls(weight, index, delay, header, word or 1, longest, profile.synapse_format == "sparse")

    def list_bits(self, synapses: int, index: int | None = None) -> int:
        """Bits of one list: n * (weight + index + delay) + header, rounded up to words.

        Source of the form: nengo/nengo-loihi@e564f66 block.py, ``bits_per_axon``.
        """
        each = self.weight + self.delay + (self.index if index is None else index)
        if not self.longest or synapses <= self.longest:
            return self._rounded(synapses * each)
        full, rest = divmod(synapses, self.longest)
        return full * self._rounded(self.longest * each) + (self._rounded(rest * each) if rest else 0)

    def _rounded(self, payload: int) -> int:
        return -(-(payload + self.header) // self.word) * self.word

    def bits(self, lists: int, stored: int, matrix: int) -> dict[str, int]:
        """Bits by encoding of ``stored`` non-zero synapses, spread evenly over ``lists`` input lists.

        Args:
            lists: input lists.
            stored: non-zero synapses of all of them.
            matrix: inputs times outputs, the zeros included.
        """
        if not self.lists:
            return {MATRIX: self.weight * matrix}
        found = {SPARSE_LISTS: self._many(lists, stored, self.index)}
        if self.index:
            found[FULL_LISTS] = self._many(lists, matrix, 0)
        return found

    def _many(self, lists: int, synapses: int, index: int) -> int:
        if self.word == 1 and not self.longest:  # nothing is rounded: no list has to be known
            return synapses * (self.weight + self.delay + index) + lists * self.header
        if not lists:
            return self.list_bits(synapses, index) if synapses else 0
        shorter, longer = divmod(synapses, lists)
        return longer * self.list_bits(shorter + 1, index) + (lists - longer) * self.list_bits(shorter, index)


def cheapest(choices: dict[str, int]) -> tuple[str, int]:
    """Name and bits of the encoding that takes fewest."""
    name = min(choices, key=lambda key: choices[key])
    return name, choices[name]
