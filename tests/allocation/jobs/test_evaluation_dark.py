"""Dark pictures: those made from the light ones are the ones built and drawn dark."""

from __future__ import annotations

import vl_convert

from allocation.jobs.charts import THEMES
from allocation.jobs.evaluation_charts import pictures
from allocation.jobs.evaluation_dark import DARKER, dark_spec, dark_svg
from allocation.jobs.evaluation_page import LIGHT
from tests.allocation.jobs.evaluations import made

BUDGETS = [{"budget": budget} for budget in (25.0, 50.0, 75.0, 100.0)]


def test_a_recoloured_picture_is_the_dark_one():
    """Every picture, one of one budget too; a policy that is called like a colour keeps its name."""
    for result in (made(*BUDGETS), made({}, name=LIGHT[0])):
        light, dark = pictures(result), pictures(result, "dark")
        assert light.keys() == dark.keys()
        for name, chart in light.items():
            spec, expected = chart.to_dict(), dark[name].to_dict()
            assert spec != expected
            assert dark_spec(spec) == expected
            assert dark_svg(vl_convert.vegalite_to_svg(spec)) == vl_convert.vegalite_to_svg(expected)


def test_every_colour_of_the_light_page_has_one_of_its_own():
    """No two roles share a light colour, or one would be wrong in the dark."""
    assert len(DARKER) == len(LIGHT) + len(THEMES["light"])
