"""Form fields of whole numbers, which begin where their columns do."""

from __future__ import annotations

from typing import Any

from django.core.validators import MinValueValidator
from django.db import models


def least_of(column: models.Field[Any, Any]) -> dict[str, Any]:
    """The options of the form field of `column`: its least number; none for another kind of column.

    Django's own fields for positive numbers begin with 0 and say so, also where 1 is the least.
    """
    if not isinstance(column, models.IntegerField):
        return {}
    bounds = [each for each in column.validators if isinstance(each, MinValueValidator)]
    return {"min_value": max(each.limit_value for each in bounds)} if bounds else {}
