"""Any order of activations and rollbacks leads where a stack of each name would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.activations import Activations
from models.errors import PackRejected

_NAMES = st.sampled_from(["one", "two"])
_DIGESTS = st.sampled_from([None, "a" * 64, "b" * 64, "c" * 64])
_STEPS = st.lists(st.tuples(_NAMES, st.one_of(st.just("back"), _DIGESTS)), max_size=20)


@given(_STEPS)
def test_activations_are_a_stack_for_each_name(steps: list[tuple[str, str | None]]) -> None:
    """The top is in use; what is under it is tried next; and it can be written and read at any time."""
    stacks: dict[str, list[str | None]] = {"one": [None], "two": [None]}
    now = Activations()
    for name, step in steps:
        stack = stacks[name]
        if step == "back":
            try:
                now = now.rolled_back(name)
            except PackRejected:
                assert len(stack) == 1
            else:
                stack.pop()
        else:
            now = now.activated(name, step)
            stack.extend([step] if stack[-1] != step else [])
        assert now.of(name).in_order == tuple(reversed(stack))
        assert Activations.model_validate_json(now.model_dump_json()) == now
    assert set(now.packs) == {name for name, stack in stacks.items() if len(stack) > 1}
