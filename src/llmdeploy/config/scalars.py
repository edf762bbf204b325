"""The value of a YAML scalar, without YAML 1.1's surprises."""

from __future__ import annotations

import yaml

_TAG = "tag:yaml.org,2002:"
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
# Read as written: nobody means a date object, or `12:30` as 750.
_AS_TEXT = {_TAG + kind for kind in ("str", "timestamp", "value", "merge")}

Scalar = str | int | float | bool | None


def read_scalar(node: yaml.ScalarNode) -> tuple[Scalar, str]:
    """The value of `node`, and why it is refused (empty when it is fine; the value is then its text)."""
    text: str = node.value
    if "\0" in text:
        return text.replace("\0", ""), "holds a NUL character"
    if node.tag in _AS_TEXT:
        return text, ""
    if node.tag == _TAG + "null":
        return None, ""
    if node.tag in (_TAG + "int", _TAG + "float"):
        return _number(node)
    if node.tag == _TAG + "bool":
        value = _CONSTRUCTOR.bool_values.get(text.lower())
        return (text, "is not true or false") if value is None else (value, "")
    shown = "!!" + node.tag.removeprefix(_TAG) if node.tag.startswith(_TAG) else node.tag
    return text, f"the tag {shown} is not allowed here"


def _number(node: yaml.ScalarNode) -> tuple[Scalar, str]:
    if ":" in node.value:  # YAML 1.1 reads 10:30 as a number in base 60
        return node.value, ""
    try:
        if node.tag == _TAG + "int":
            return int(_CONSTRUCTOR.construct_yaml_int(node)), ""
        return float(_CONSTRUCTOR.construct_yaml_float(node)), ""
    except (ValueError, IndexError):
        return node.value, "is not a number"
