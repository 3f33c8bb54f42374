"""What an op is. The families fill the table in this order."""

from tapejit.spec import elementwise, structured, linalg  # noqa: I001
