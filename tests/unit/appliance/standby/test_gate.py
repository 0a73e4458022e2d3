"""A gate that lanes pass: shut, nobody enters; still, nobody is within."""

from __future__ import annotations

from appliance.standby.gate import Gate


def test_a_gate_is_open_unless_somebody_shuts_it() -> None:
    """A box that is alone has never heard of it."""
    gate = Gate()
    with gate.passing() as passes:
        assert passes
        assert gate.is_open()


def test_a_gate_that_is_shut_is_still_once_the_last_has_left() -> None:
    """Who was within when it was shut ends first; nobody enters meanwhile."""
    gate = Gate()
    with gate.passing() as passes:
        assert passes
        gate.shut()
        assert not gate.is_still()
        with gate.passing() as another:
            assert not another
    assert gate.is_still()
    gate.open()
    assert not gate.is_still()
