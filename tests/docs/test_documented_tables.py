"""The reference tables say what the code says; ``python -m tests.docs.write`` rewrites them."""

from __future__ import annotations

import pytest

from appliance.settings import Settings
from models.reasons import Reason
from tests.docs.blocks import ROOT, block, block_names, documents, first_cells, with_block
from tests.docs.markdown import table
from tests.docs.model_tables import configuration, sections, unit_of
from tests.docs.tables import TABLES, all_commands, commands, reasons


@pytest.mark.parametrize(("document", "name"), TABLES, ids=lambda part: str(part))
def test_a_table_is_what_the_code_makes_of_it(document: str, name: str) -> None:
    """Every generated table in the documents equals what its generator returns now."""
    text = (ROOT / document).read_text(encoding="utf-8")
    assert block(text, "table", name) == TABLES[document, name](), "run: python -m tests.docs.write"


def test_every_table_block_has_a_generator() -> None:
    """No document marks a table as generated that nothing generates."""
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in documents()
        for name in block_names(path.read_text(encoding="utf-8"), "table")
    }
    assert found == set(TABLES)


def test_the_configuration_table_names_every_key() -> None:
    """Each key of each model stands in the table: none is lost on the way from the model to Markdown."""
    shown = configuration()
    for name, model in sections():
        for key, field in model.model_fields.items():
            nested = key in ("peers", "tls", "syslog") or (model is Settings and key != "home")
            assert nested or f"| `{key}` |" in shown, f"{name} {key}"
            assert nested or field.description, f"{name} {key} has no description"


def test_every_number_of_the_configuration_has_a_unit() -> None:
    """A quantity without a unit in its name would be a riddle; a port is no quantity."""
    for name, model in sections():
        for key, field in model.model_fields.items():
            number = isinstance(field.default, int | float) and not isinstance(field.default, bool)
            assert not number or key.endswith("port") or unit_of(key) != "–", f"{name} {key}"


def test_the_reasons_table_names_every_reason() -> None:
    """The closed set in the code and the table are the same set."""
    assert first_cells(reasons()) == {reason.value for reason in Reason}


def test_the_commands_of_the_contract_are_there() -> None:
    """Scripts depend on these names; each stands in the command-line reference with a sentence."""
    names = {path.split()[1] for path, _ in all_commands()}
    contract = {"serve", "cloud", "demo", "triage", "evaluate", "status", "outbox", "models", "check"}
    assert (
        contract | {"deidentify", "bench", "import", "audit", "enrol", "labels", "users", "tokens", "keys", "erase"}
        == names
    )
    assert all(command.help for _, command in all_commands())
    assert "`scanside run`" not in commands()


def test_a_bar_in_a_cell_does_not_make_a_column() -> None:
    """A pattern with alternatives stays in its cell."""
    assert table(("A",), iter([["x|y"]])).splitlines()[-1] == "| x\\|y |"


def test_a_block_is_replaced_and_nothing_beside_it() -> None:
    """Writing a table leaves the prose around it as it is."""
    text = "before\n<!-- table: one -->\n\nold\n\n<!-- end -->\nafter\n"
    assert with_block(text, "table", "one", "new") == text.replace("old", "new")


def test_a_missing_block_is_an_error() -> None:
    """A marker that was edited away is noticed instead of passed over."""
    with pytest.raises(ValueError, match="0 times"):
        block("no marker here", "table", "one")
