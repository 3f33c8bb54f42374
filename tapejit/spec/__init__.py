"""What an op is. The families fill the table in this order."""

from tapejit.spec import elementwise, structured, linalg, decomposing, complexforms, table  # noqa: I001

table.close()
