"""Reads as much of a program as its tasks need: the files that mention a spawn, and what these ask for, in rounds."""

from __future__ import annotations

import re
import traceback
from collections import defaultdict
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from leaklint.analysis.expansion import Expansion, Needle
from leaklint.analysis.linking import Names, link, renamed, tree_of
from leaklint.catalog import BASE, Catalog
from leaklint.catalog.anyio_history import mentions_removed
from leaklint.model.code import Span
from leaklint.model.diagnostic import Failed
from leaklint.model.facts import ModuleFacts, Unparsable
from leaklint.syntax.collect import collect, collect_names
from leaklint.syntax.source import Source, decode, may_swallow, mentions_spawn, read_source

__all__ = ["Known", "Reading", "Text", "collect_source", "failed", "read_program", "too_deep"]

_MOST_ROUNDS = 20


class Text(NamedTuple):
    """One file of a program."""

    path: str
    """As the user would write it."""
    module: str
    """The dotted name, which no other file of the program has."""
    data: bytes
    aliases: tuple[tuple[str, str], ...] = ()
    """What imports in it call differently: a dotted name as they write it, and its name in the program."""
    is_named: bool = True
    """Whether the file is to be judged; the others are only read for what they say about these."""
    always_parse: bool = False


Known = MutableMapping[Text, ModuleFacts | Unparsable | Failed]
"""What is known of files, not linked: what is read once more as it was need not be parsed again."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of a program."""

    facts: tuple[ModuleFacts, ...]
    """The modules that matter to each other, their names linked, by module."""
    aside: tuple[ModuleFacts, ...] = ()
    """Files that no task of the others leads to, but that are to be parsed, or may swallow a cancellation."""
    faults: dict[str, Unparsable | Failed] = field(default_factory=dict)
    """By path: the named files that could not be read."""


def collect_source(data: bytes, *, path: str, module: str) -> ModuleFacts | Unparsable:
    """What is known of a file. `path` is as the user would write it, `module` the dotted name."""
    try:
        source = read_source(data, path=path)
        return source if isinstance(source, Unparsable) else collect(source, module=module)
    except RecursionError:
        return too_deep(path)


def too_deep(path: str) -> Unparsable:
    """A file that is nested too deeply to be looked at."""
    return Unparsable(path, Span(1, 1, 1, 1), "nested too deeply to be analysed")


def read_program(
    texts: Sequence[Text], catalog: Catalog = BASE, *, whole: bool = False, known: Known | None = None
) -> Reading:
    """Read what matters of a program, or, with `whole`, all of it. Never raises for what is in a file: that is one of
    the `faults`. What is `known` is not read again, and what is read is added to it.
    """
    reader = _Reader(texts, catalog, known)
    if whole:
        reader.read_all(texts)
        return Reading(link(reader.by_module, reader.names), (), reader.faults)
    # what is used in a way that is gone may be made in any file that uses AnyIO
    has_removed = any(mentions_removed(text.data) for text in texts)
    reader.read_all(
        text for text in texts if mentions_spawn(text.data, catalog.words) or (has_removed and b"anyio" in text.data)
    )
    for _ in range(_MOST_ROUNDS):
        if not reader.expand():
            break
    aside = []
    for text in texts:
        if text.is_named and text.path not in reader.done:
            parse = text.always_parse or may_swallow(text.data)
            found = reader.facts_of(text) if parse else decode(text.data, path=text.path)
            if isinstance(found, ModuleFacts):
                aside.append(found)
            elif isinstance(found, Unparsable | Failed):
                reader.faults[text.path] = found
    return Reading(link(reader.by_module, reader.names), tuple(aside), reader.faults)


_Needles = dict[str, dict[bytes, list[list[bytes]]]]
"""By top-level package and first word, the other words that a file must hold."""


class _Reader:
    def __init__(self, texts: Sequence[Text], catalog: Catalog, known: Known | None) -> None:
        self._known = known
        self.names = Names({text.module: text.aliases for text in texts})
        self.facts: list[ModuleFacts] = []
        self.faults: dict[str, Unparsable | Failed] = {}
        self.done: set[str] = set()
        """The paths of the files that have been read whole."""
        self._texts = {text.module: text for text in texts}
        self._named: set[str] = set()
        self._parsed: dict[str, Source | Unparsable | Failed] = {}
        self._searched: frozenset[Needle] = frozenset()
        self._trees: dict[str, set[str]] = {}
        """By path, the top-level packages that a file can know of."""
        self._expansion = Expansion(self.names, catalog)

    @property
    def by_module(self) -> list[ModuleFacts]:
        """What was read whole, by module."""
        return sorted(self.facts, key=lambda each: each.module)

    def read_all(self, texts: Iterable[Text]) -> None:
        """Read files whole."""
        for text in texts:
            self.done.add(text.path)
            facts = self.facts_of(text)
            self._parsed.pop(text.path, None)
            if isinstance(facts, ModuleFacts):
                self.facts.append(facts)
                self.names.add(facts.names)
                self._expansion.add(facts)
            elif text.is_named:
                self.faults[text.path] = facts

    def expand(self) -> bool:
        """Read what the files read so far ask for; False if that is nothing."""
        if len(self.done) == len(self._texts):
            return False
        wanted = self._expansion.wanted()
        waiting = [text for text in self._texts.values() if text.path not in self.done]
        new, self._searched = wanted.needles - self._searched, wanted.needles
        needles: _Needles = defaultdict(lambda: defaultdict(list))
        for first, *others, tree in sorted(new):
            needles[tree][first.encode()].append([word.encode() for word in others])
        whole = [text for text in waiting if text.module in wanted.facts or self._mentions(text, needles)]
        self.read_all(whole)
        names = wanted.names - self._named
        self._named |= names
        for module in names:
            self._read_names(self._texts[module])
        return bool(whole or names)

    def _mentions(self, text: Text, needles: _Needles) -> bool:
        """Whether a file has all words of one of the needles, of a top-level package that it can know of."""
        if text.path not in self._trees:
            self._trees[text.path] = _imported(text)
        return any(
            first in text.data and any(all(word in text.data for word in words) for words in others)
            for tree in self._trees[text.path]
            for first, others in needles.get(tree, {}).items()
        )

    def _read_names(self, text: Text) -> None:
        """Read the names of a file alone. (One that cannot be parsed gives none.)"""
        if text.path not in self.done:
            source = self._source(text)
            if isinstance(source, Source):
                self.names.add(collect_names(source, module=text.module))

    def facts_of(self, text: Text) -> ModuleFacts | Unparsable | Failed:
        """What is known of a file."""
        if self._known is None:
            return self._read(text)
        if text not in self._known:
            self._known[text] = self._read(text)
        return self._known[text]

    def _read(self, text: Text) -> ModuleFacts | Unparsable | Failed:
        source = self._source(text)
        try:
            return collect(source, module=text.module) if isinstance(source, Source) else source
        except RecursionError:
            return too_deep(text.path)
        except Exception as error:  # noqa: BLE001 - a fault of leaklint's own costs one file
            return failed(text.path, error)

    def _source(self, text: Text) -> Source | Unparsable | Failed:
        """A file, parsed once: what is read for its names may be wanted whole in another round."""
        if text.path not in self._parsed:
            self._parsed[text.path] = _parsed(text)
        return self._parsed[text.path]


_IMPORT = re.compile(rb"^[ \t]*(?:from[ \t]+([\w.]+)|import[ \t]+([^\n#]+))", re.MULTILINE)


def _imported(text: Text) -> set[str]:
    """The top-level packages that a file imports from, as the program calls them, and its own."""
    written = {
        name.strip().partition(b" ")[0].decode("ascii", "replace")
        for module, names in _IMPORT.findall(text.data)
        for name in (module or names).split(b",")
    }
    return {tree_of(renamed(name, text.aliases)) for name in written} | {tree_of(text.module)}


def _parsed(text: Text) -> Source | Unparsable | Failed:
    try:
        return read_source(text.data, path=text.path)
    except RecursionError:
        return too_deep(text.path)
    except Exception as error:  # noqa: BLE001 - a fault of leaklint's own costs one file
        return failed(text.path, error)


def failed(path: str, error: Exception) -> Failed:
    """A fault of leaklint's own, to be called where the error is handled."""
    first = str(error).strip().partition("\n")[0]
    said = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return Failed(path, f"leaklint itself failed on this file: {said}", traceback.format_exc())
