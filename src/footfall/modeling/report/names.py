"""Display names of the tokens and columns of an encoder.

Knows a stored encoder's texts. Most words are stored as hashes: a word is searched for in the behaviors that hold it. What
has no text keeps its number, or is None.

Shapes: U behaviors, W words, C categories, T tokens of all behaviors' words, B bytes.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from footfall.modeling.arrays import map_arrays
from footfall.modeling.dtypes import I32, I64, U8
from footfall.modeling.text.lexicon import hash_word, split_words

MAX_TEXT, MAX_LEAKS = 200, 20
_MAX_LOOKED_UP = 100
"""Leaks for which a name is looked up."""
_NUMBERED = re.compile(r"(behavior|value)_(\d+)_(count|sum)")


class Names:
    """The names of a stored encoder; its texts are mapped, not read."""

    def __init__(self, encoder_dir: Path) -> None:
        arrays = map_arrays(encoder_dir / "encoder.safetensors")
        schema = json.loads((encoder_dir / "encoder.json").read_text())["schema"]
        has_facts = bool(schema["has_time"] or schema["numeric"] or schema["categorical"])
        self.text_offset_U1: I64 = arrays["text_offset_U1"]
        self.text_token_T: I32 = arrays["text_token_T"]
        """The tokens that are words of behavior u: those from offset u on."""
        self._behavior = _reader(arrays["text_B"], arrays["text_end_U"])
        self._category = _reader(arrays["category_text_B"], arrays["category_end_W"])
        self._category_hash_C, self._frequent_F = arrays["category_hash_W"], arrays["frequent_F"]
        self._word_hash_W = arrays["word_hash_W"]
        self._n_facts = self._category_hash_C.size if has_facts else 0

    @property
    def n_behaviors(self) -> int:
        """U."""
        return self.text_offset_U1.size - 1

    def behavior(self, u: int) -> str:
        """Return the text of a behavior in one line, cut if it is long."""
        return _shorten(self._behavior(u))

    def word(self, token: int) -> str | None:
        """Return the word that a token of the text is; None for a part of a word, a number or a rare word's bucket."""
        w = token - self.n_behaviors
        at_T = np.flatnonzero(self.text_token_T == token)
        if w >= self._word_hash_W.size or not at_T.size:
            return None
        holder = int(np.searchsorted(self.text_offset_U1, at_T[0], "right")) - 1
        words = split_words(self._behavior(holder).decode("utf-8", "replace"))
        return next((word for word in words if hash_word(word) == self._word_hash_W[w]), None)

    def fact(self, token: int) -> str | None:
        """Return what a token of the blocks that only event logs have is, as ``place=home`` or ``value of tea``.

        Tokens are counted from the first of these blocks.
        """
        if token < self._n_facts:
            return _shorten(self._category(token))
        token -= self._n_facts
        name = self.behavior(token) if token < self.n_behaviors else self.word(token)
        return None if name is None else f"value of {name}"

    def column(self, name: str) -> str:
        """Return the name of a dense column, with the behavior or category that it counts behind it."""
        match = _NUMBERED.fullmatch(name)
        if match is None:
            return name
        n = int(match[2])
        if match[1] == "behavior":
            return f"{name} ({self.behavior(n)})" if n < self.n_behaviors else name
        at_C = np.flatnonzero(self._category_hash_C == self._frequent_F[n])
        return f"{name} ({_shorten(self._category(int(at_C[0])))})" if at_C.size else name


def _reader(text_B: U8, end_U: I64) -> Callable[[int], bytes]:
    return lambda u: text_B[int(end_U[u - 1]) if u else 0 : int(end_U[u])].tobytes()


def _shorten(raw: bytes) -> str:
    text = " ".join(raw.decode("utf-8", "replace").split())
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def name_leaks(leaks: list[dict[str, Any]], names: Names | None) -> list[dict[str, Any]]:
    """Return leaks of ``checks.find_leaks`` for display, {kind, name or None, AUROC}: those with a name first."""
    named = [{"kind": leak["kind"], "name": _name_leak(leak, names), "AUROC": leak["AUROC"]} for leak in leaks[:_MAX_LOOKED_UP]]
    return sorted(named, key=lambda leak: leak["name"] is None)[:MAX_LEAKS]


def _name_leak(leak: dict[str, Any], names: Names | None) -> str | None:
    kind, token, name = leak["kind"], leak["token"], leak["name"]
    if names is None or kind == "sequence":
        return name if name is None else str(name)
    if kind == "column":
        return names.column(name)
    name_of: dict[str, Callable[[int], str | None]] = {"behavior": names.behavior, "word": names.word, "fact": names.fact}
    return name_of[kind](token)
