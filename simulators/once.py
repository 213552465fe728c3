"""Remember what was worked out of an object for as long as the object itself is asked about again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
KEPT = 8  # objects: a deployed form or two of each run that is priced


def once(make: Callable[P, R]) -> Callable[P, R]:
    """Cache a function of one object and hashable rest by the object's identity.

    Equality of a whole run's counts would cost more than what is saved. The object is held while its result is kept,
    so no other one can take its identity. The result must not be changed.
    """
    kept: OrderedDict[tuple[object, ...], tuple[object, R]] = OrderedDict()

    @wraps(make)
    def remembered(*args: P.args, **kwargs: P.kwargs) -> R:
        key = (id(args[0]), *args[1:], *sorted(kwargs.items()))
        if key not in kept:
            kept[key] = args[0], make(*args, **kwargs)
            if len(kept) > KEPT:
                kept.popitem(last=False)
        kept.move_to_end(key)
        return kept[key][1]

    return remembered
