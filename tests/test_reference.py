"""docs/ops.md is what the op table says now."""

from pathlib import Path

import pytest

import tapejit  # noqa: F401 - fills the table
from tapejit.spec.reference import reference

PAGE = Path(__file__).parent.parent / "docs" / "ops.md"


@pytest.mark.skipif(not PAGE.exists(), reason="docs/ops.md is only in a checkout")
def test_the_reference_is_up_to_date():
    assert PAGE.read_text() == reference(), "run: python -m tapejit.spec.reference > docs/ops.md"
