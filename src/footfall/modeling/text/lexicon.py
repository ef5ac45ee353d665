"""Map a keyword to tokens of an encoder: its own words, and the behaviors that hold them.

Knows the texts and word hashes of a vocabulary, nothing of weights or users. A keyword is one word or several; words are
what ``tokens.next_word`` makes of a text. Case and the form of Unicode do not matter. In scripts without case words are
written without blanks or grow at their ends (Chinese, Japanese, Korean, Arabic), so there a word is also found within others.

Shapes: U behaviors, W words of the vocabulary, B bytes of the behaviors' texts.
"""

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from footfall.modeling.dtypes import I64, U8, U64
from footfall.modeling.text.hashes import hash_lowered
from footfall.modeling.text.tokens import WORD

_WORD = re.compile(r"(?:[0-9A-Za-z]|[^\x00-\x7f\s])+")


@dataclass(frozen=True)
class Keyword:
    """A keyword in an encoder's tokens."""

    text: str
    token_sets: tuple[I64, ...]
    """The sets of tokens it stands for, each with the same weight: the word tokens of a word, the behaviors that hold it."""
    own_tokens: I64
    """Tokens that are the keyword itself: who has one of them has all of the keyword."""
    unknown: tuple[str, ...]
    """Words of it that the encoder does not know."""

    @property
    def is_known(self) -> bool:
        """Whether any of its words is known."""
        return bool(self.token_sets)


def split_words(text: str) -> list[str]:
    """Return the words of a text as ``tokens.next_word`` finds them, each once."""
    return list(dict.fromkeys(_WORD.findall(text)))


def hash_word(word: str) -> np.uint64:
    """Return the hash of a word's token."""
    word_B = np.frombuffer(word.encode("utf-8", "replace"), np.uint8).copy()
    return np.uint64(hash_lowered(word_B, 0, word_B.size, WORD))


class Lexicon:
    """The texts of an encoder, ready to be searched.

    Args:
        text_B, text_end_U: the behaviors' texts, UTF-8, one after the other.
        word_hash_W: hashes of the words; word w is the token ``first_word + w``.
    """

    def __init__(self, text_B: U8, text_end_U: I64, word_hash_W: U64, first_word: int) -> None:
        raw, ends = text_B.tobytes(), text_end_U.tolist()
        lines = [raw[start:end].replace(b"\n", b" ") for start, end in zip([0, *ends], ends, strict=False)]
        self._text = "\n" + _fold(b"\n".join(lines).decode("utf-8", "replace")) + "\n"
        newline_U = np.flatnonzero(np.frombuffer(self._text.encode("utf-32-le"), np.uint32) == 10)
        self._line_starts: list[int] = newline_U.tolist()
        self._word_hash_W, self._first_word = word_hash_W, first_word

    def find(self, keyword: str) -> Keyword:
        """Return what a keyword means."""
        words = split_words(keyword)
        meant = [(self._find_word(word), self._find_behaviors(word)) for word in words]
        unknown = [word for word, (tokens, holders) in zip(words, meant, strict=True) if not (len(tokens) or holders)]
        meant = [(tokens, holders) for tokens, holders in meant if len(tokens) or holders]
        if not meant:
            return Keyword(keyword, (), _numbers(set()), tuple(unknown) or (keyword,))
        token_sets = [each for tokens, holders in meant for each in (tokens, _numbers(holders))]
        own = _numbers(set.intersection(*(holders for _, holders in meant)))
        if len(meant) > 1:  # one word of several is not the keyword; a behavior with all of them is
            token_sets.append(own)
        else:
            own = np.concatenate(token_sets)
        return Keyword(keyword, tuple(token_sets), own, tuple(unknown))

    def _find_word(self, word: str) -> I64:
        forms = {
            unicodedata.normalize(form, each)
            for form in ("NFC", "NFD")
            for each in (word, word.lower(), word.upper(), word.capitalize(), word.casefold())
        }
        hashes = [hash_word(form) for form in sorted(forms)]
        token_W: I64 = np.flatnonzero(np.isin(self._word_hash_W, np.array(hashes, np.uint64))) + self._first_word
        return token_W

    def _find_behaviors(self, word: str) -> set[int]:
        folded = _fold(word)
        in_longer = any(unicodedata.category(character) == "Lo" for character in word)
        behaviors: set[int] = set()
        at = self._text.find(folded)
        while at >= 0:
            end = at + len(folded)
            is_whole = not _WORD.match(self._text[at - 1]) and not _WORD.match(self._text[end])
            step = at + 1
            if is_whole or in_longer:
                line = bisect_right(self._line_starts, at) - 1
                behaviors.add(line)
                step = self._line_starts[line + 1]  # a second match in this behavior adds nothing
            at = self._text.find(folded, step)
        return behaviors


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _numbers(values: set[int]) -> I64:
    return np.array(sorted(values), np.int64)
