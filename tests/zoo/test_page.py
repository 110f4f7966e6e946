import pytest

from squeezesim.errors import ModelError
from squeezesim.zoo.registry import catalogue, parse_spec
from tests.zoo.page import PAGE, families, networks, write

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_tables_of_the_page_are_the_catalogue_s():
    assert networks() in TEXT
    assert families() in TEXT
    assert write(TEXT) == TEXT


def test_every_network_says_where_its_accuracy_is_printed():
    for entry in catalogue().values():
        assert bool(entry.facts.printed_in) == (entry.facts.top1 is not None)
        assert entry.facts.top1 is not None or entry.facts.top5 is None
        assert str(entry.family.year) in entry.family.source


@pytest.mark.parametrize("entry", catalogue().values(), ids=lambda entry: entry.name)
def test_no_two_networks_are_the_same(entry):
    twins = [
        other.name
        for other in catalogue().values()
        if (other.family, other.defaults) == (entry.family, entry.defaults)
    ]
    assert twins == [entry.name]
    assert parse_spec(entry.name).notes == ()
    with pytest.raises(ModelError):
        parse_spec(f"{entry.name}@no=1")
