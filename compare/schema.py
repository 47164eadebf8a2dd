"""The published form of a run's JSON, made from the records themselves."""

from __future__ import annotations

from typing import Any

import msgspec

from layerdiff.compare.result import SCHEMA, Run

__all__ = ["run_schema"]


def run_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of what `run_to_json` writes; its `schema` is the version.

    What has a default may be lacking, as in a file of an older version.
    """
    schema: dict[str, Any] = _in_order(msgspec.json.schema(Run))
    schema["$defs"]["Run"]["properties"]["schema"] = {"const": SCHEMA, "description": "version of this form"}
    schema["$defs"]["Run"]["required"].append("schema")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:layerdiff:run:{SCHEMA}",
        "title": "a run of layerdiff",
        **schema,
    }


def _in_order(part: Any) -> Any:
    """The schema as JSON has it, its choices in order: msgspec lists them as a set does, in another order each time."""
    if isinstance(part, dict):
        return {key: sorted(one) if key == "enum" else _in_order(one) for key, one in part.items()}
    return [_in_order(one) for one in part] if isinstance(part, list | tuple) else part
