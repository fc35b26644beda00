"""Names that a library learned from photos: learned once, then read wherever a query has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval.lazy import loader

if TYPE_CHECKING:
    from retrieval.names.concepts import Concept, Concepts
    from retrieval.names.learn import Learned, LearnOptions, learn_concept
    from retrieval.names.naming import Names, reader_of

__all__ = ["Concept", "Concepts", "LearnOptions", "Learned", "Names", "learn_concept", "reader_of"]

__getattr__ = loader(
    __name__,
    {
        "retrieval.names.concepts": ("Concept", "Concepts"),
        "retrieval.names.learn": ("LearnOptions", "Learned", "learn_concept"),
        "retrieval.names.naming": ("Names", "reader_of"),
    },
)
