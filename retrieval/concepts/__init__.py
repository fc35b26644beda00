"""Learned concepts: names that a library learned from photos and that queries can use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval._lazy import loader

if TYPE_CHECKING:
    from retrieval.concepts.concept_encoder import ConceptNames, reader_of
    from retrieval.concepts.store import Concept, Concepts
    from retrieval.concepts.textual_inversion import LearnedConcept, LearnOptions, learn_concept

__all__ = [
    "Concept",
    "ConceptNames",
    "Concepts",
    "LearnOptions",
    "LearnedConcept",
    "learn_concept",
    "reader_of",
]

__getattr__ = loader(
    __name__,
    {
        "retrieval.concepts.store": ("Concept", "Concepts"),
        "retrieval.concepts.textual_inversion": ("LearnOptions", "LearnedConcept", "learn_concept"),
        "retrieval.concepts.concept_encoder": ("ConceptNames", "reader_of"),
    },
)
