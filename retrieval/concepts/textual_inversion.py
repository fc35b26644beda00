"""Learn a name from photos by textual inversion: photos -> vectors -> direction -> tokens -> file.

The towers are not trained. The first step finds a direction in the joint space that separates the
photos from others (`shift`); its distance from the direction of the plain word is the shift. The
second step learns token vectors that move every sentence by this shift when they replace the word:
"a photo of NAME" as well as "NAME on a beach". So the words around the name keep their meaning.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageOps

from indexer.core.encoder import Encoder, Vectors
from indexer.core.errors import FileUnreadable, TwinlensError
from indexer.core.file_types import MediaType, form_of
from indexer.core.types import Kind, Skip
from indexer.decoding.render import read_picture
from indexer.ingest.walker import FoundFile, WalkOptions, walk
from indexer.library.library import Library
from retrieval._resources import resource
from retrieval.concepts.adam import Adam
from retrieval.concepts.prompt_shift import find_direction, strangers
from retrieval.concepts.store import Concept, Concepts, TokenVectors, clean_name, new_name
from retrieval.errors import ConceptInvalid, ModelUnavailable
from retrieval.models.numpy_layers import unit
from retrieval.models.phrases import Phrase, PromptTower, TeachableEncoder

SAMPLE = 1500  # photos of the library at random, to tell the examples from
NEAREST = 500  # and those nearest to the plain word: other dogs, where Rex is a dog
MOST_TOKENS = 8  # a plain word is one or a few
GIVEN, GUESSED = 0.5, 0.05  # weights of the plain word, by who chose it
GIVEN_PACE, GUESSED_PACE = (60, 0.05), (200, 0.5)  # steps and rate: a wrong word has far to go
CROP = 0.1  # share of each side that the closer view leaves out

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the steps done and in all."""


@dataclass(frozen=True, kw_only=True)
class LearnOptions:
    """The options of learning a name.

    Attributes:
        like: plain words for the same kind of thing; "" takes the shipped word that is nearest
            to the photos, or the name itself where that is nearer.
        near: weight of staying near the plain word, against fitting the photos; None trusts a
            word that was given, and one that was guessed little. `benchmarks/concepts.py` has both.
        steps: of learning the tokens; None takes more where the word is guessed.
        rate: of Adam, in units of the plain word's own size; None takes more likewise.
        batch: sentences a step.
        seed: for the order of sentences and the choice of other photos.
    """

    like: str = ""
    near: float | None = None
    steps: int | None = None
    rate: float | None = None
    batch: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        steps, rate = self.pace
        if min(steps, self.batch) < 1 or min(self.nearness, rate) < 0:
            raise ConceptInvalid("steps and batch must be at least 1, near and rate at least 0")

    @property
    def nearness(self) -> float:
        """The weight of staying near the plain word."""
        usual = GIVEN if self.like else GUESSED
        return usual if self.near is None else self.near

    @property
    def pace(self) -> tuple[int, float]:
        """Steps and rate of learning the tokens."""
        steps, rate = GIVEN_PACE if self.like else GUESSED_PACE
        return steps if self.steps is None else self.steps, rate if self.rate is None else self.rate


@dataclass(frozen=True, kw_only=True)
class LearnedConcept:
    """The result of learning a name.

    Attributes:
        concept: as it was stored.
        replaced: it took the place of one of the same name.
        skipped: photos that could not be read.
        seconds: that it took.
    """

    concept: Concept
    replaced: bool
    skipped: tuple[Skip, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class InversionSentences:
    """Sentences to learn from.

    Attributes:
        phrases: with slots in the place of the name.
        targets: where each should lie. Shape (phrases, d), unit norm.
        start: the plain word's vectors. Shape (tokens, width).
        shift: from the plain word to the name, in the joint space. Shape (d,).
    """

    phrases: Sequence[Phrase]
    targets: Vectors
    start: TokenVectors
    shift: Vectors


@dataclass(frozen=True, kw_only=True)
class Pupil:
    """A model that learns a name: its encoder, and its text tower with gradients."""

    encoder: Encoder
    tower: PromptTower

    @classmethod
    def of(cls, encoder: Encoder) -> Pupil:
        """Return a model as one that learns.

        Raises:
            ModelUnavailable: its text tower cannot read vectors in the place of words.
            ExtraMissing: it takes torch, which is not installed.
        """
        if not isinstance(encoder, TeachableEncoder):
            raise ModelUnavailable(f"{encoder.name!r} has no text tower that could learn a name")
        return cls(encoder=encoder, tower=encoder.prompt_tower())


def learn_concept(
    library: Library,
    encoder: Encoder,
    name: str,
    photos: Sequence[Path],
    options: LearnOptions = LearnOptions(),
    progress: Progress | None = None,
) -> LearnedConcept:
    """Learn a name from a few photos, and store it in the library for its queries.

    A `Searcher` made afterwards reads the name wherever a query has it; queries without it
    stay as they were. About five photos are enough.

    Args:
        library: that learns it.
        encoder: of the library's model.
        name: a word or a few.
        photos: files, and folders for all photos in them.
        options: how.
        progress: is told of each step.

    Raises:
        ConceptInvalid: the name or `like` is no word, or no photo can be read.
        TwinlensError: the library's folder is closed to us.
        ModelMismatch: the encoder is another model than the library's.
        ModelUnavailable: its text tower cannot read vectors in the place of words.
        ExtraMissing: it takes torch, which is not installed.
    """
    started = time.monotonic()
    library.check_model(encoder)
    called, pupil = new_name(name), Pupil.of(encoder)
    Concepts(library.folder).check_writable()
    views, skipped = embed_views(encoder, photos)
    like = clean_name(options.like) if options.like else nearest_word(pupil, called, views[:, 0])
    lesson = prepare(pupil, views, _others(library, encoder, like, options.seed), like, options)
    concept = Concept(
        name=called,
        tokens=learn_tokens(pupil.tower, lesson, options, progress),
        like=like,
        model=encoder.name,
        fingerprint=encoder.fingerprint,
        photos=len(views),
        steps=options.pace[0],
        seed=options.seed,
    )
    replaced = Concepts(library.folder).save(concept)
    seconds = time.monotonic() - started
    return LearnedConcept(concept=concept, replaced=replaced, skipped=skipped, seconds=seconds)


def embed_views(encoder: Encoder, photos: Sequence[Path]) -> tuple[Vectors, tuple[Skip, ...]]:
    """Embed each photo once in every view, the plain one first. Shape (photos, views, dim).

    Raises:
        ConceptInvalid: none can be read.
    """
    seen: list[Image.Image] = []
    skipped: list[Skip] = []
    for path in dict.fromkeys(file for photo in photos for file in _files(photo)):
        try:
            seen += _views(read_picture(path, size_hint=encoder.image_size))
        except FileUnreadable as error:
            skipped.append(Skip(path=path, reason=str(error)))
    if not seen:
        first = f"; the first: {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        raise ConceptInvalid(f"no photo to learn from can be read{first}")
    return encoder.encode_images(seen).reshape(-1, _VIEWS, encoder.dim), tuple(skipped)


def _files(path: Path) -> list[Path]:
    """Return the photos in a folder; a path that is no folder as it is."""
    full = path.expanduser().absolute()
    if not full.is_dir():
        return [full]
    found = [
        each.path for each in walk([full], options=WalkOptions()) if isinstance(each, FoundFile)
    ]
    return [file for file in found if form_of(file) in (MediaType.PICTURE, MediaType.RAW)]


def prepare(
    pupil: Pupil, views: Vectors, others: Vectors, like: str, options: LearnOptions
) -> InversionSentences:
    """Find the shift from the plain word to the photos, and apply it to every sentence.

    Args:
        pupil: the model.
        views: the photos, each in several views, the plain one first. Shape (photos, views, dim).
        others: other photos. Shape (n, dim).
        like: the plain word.
        options: `nearness` is used.

    Raises:
        ConceptInvalid: the plain word is none to this model, or a whole sentence.
    """
    start = pupil.tower.word_vectors(like)
    if not 1 <= len(start) <= MOST_TOKENS:
        raise ConceptInvalid(f"'{like}' is not one or two plain words; give them, e.g. --like dog")
    templates, contexts = _sentences("templates.txt"), _sentences("contexts.txt")
    texts = [sentence.format(like) for sentence in (*templates, *contexts)]
    plain = pupil.encoder.encode_texts(texts)  # (phrases, dim)
    word = unit(plain[: len(templates)].mean(axis=0))
    examples = views.reshape(-1, views.shape[-1])
    rest = strangers(views[:, 0], others)
    shift = find_direction(examples, rest, word, near=options.nearness) - word
    return InversionSentences(
        phrases=[_phrase(each, len(start)) for each in (*templates, *contexts)],
        targets=unit(plain + shift),
        start=start,
        shift=shift,
    )


def learn_tokens(
    tower: PromptTower,
    lesson: InversionSentences,
    options: LearnOptions,
    progress: Progress | None = None,
) -> TokenVectors:
    """Learn token vectors that move every sentence to its target. Shape (tokens, width).

    Minimises the mean of 1 - cosine over sentences, by Adam with a rate that falls to zero.
    """
    steps, rate = options.pace
    draw = np.random.default_rng(options.seed)
    size = np.sqrt((lesson.start * lesson.start).mean())
    tokens, adam = lesson.start.copy(), Adam(lesson.start.shape)
    for step in range(steps):
        rows = draw.permutation(len(lesson.phrases))[: options.batch]
        _, slope = tower.fit([lesson.phrases[row] for row in rows], tokens, lesson.targets[rows])
        tokens -= size * adam.step(size * slope, rate * (1.0 - step / steps))
        if progress is not None:
            progress(step + 1, steps)
    return _checked(tokens)


def nearest_word(pupil: Pupil, name: str, photos: Vectors) -> str:
    """Return the plain word that fits the photos best: the name itself, or one of a shipped list.

    A name such as "Rex" is no word that the model knows, so its photos tell what it is like.
    """
    words = [name, *_lines("things.txt")]
    texts = pupil.encoder.encode_texts([f"a photo of a {word}" for word in words])
    fits = texts @ photos.mean(axis=0)
    known = 1 <= len(pupil.tower.word_vectors(name)) <= MOST_TOKENS
    return words[int(fits.argmax())] if known else words[1 + int(fits[1:].argmax())]


def _views(photo: Image.Image) -> Iterator[Image.Image]:
    """Show a photo as it is, mirrored, and from a little closer."""
    width, height = photo.size
    inside = (CROP * width, CROP * height, (1 - CROP) * width, (1 - CROP) * height)
    yield photo
    yield ImageOps.mirror(photo)
    yield photo.resize(photo.size, Image.Resampling.BICUBIC, box=inside)


_VIEWS = 3


def _others(library: Library, encoder: Encoder, like: str, seed: int) -> Vectors:
    """Return photos of the library: some at random, and those nearest to the plain word."""
    drawn = library.sample(Kind.PHOTO, SAMPLE, seed=seed)
    (near,) = library.search(encoder.encode_texts([f"a photo of a {like}"]), Kind.PHOTO, NEAREST)
    found = library.fetch([candidate.id for candidate in near], Kind.PHOTO)
    return np.unique(np.concatenate([drawn, found]), axis=0)


def _sentences(file: str) -> tuple[str, ...]:
    """Return the different lines of a shipped file, "{}" where the name goes."""
    return tuple(dict.fromkeys(_lines(file)))


def _lines(file: str) -> list[str]:
    """Read a shipped list."""
    return resource(file).read_text(encoding="utf-8").splitlines()


def _phrase(sentence: str, tokens: int) -> Phrase:
    """Put slots in the place of "{}"."""
    before, _, after = sentence.partition("{}")
    return (before.strip(), range(tokens), after.strip())


def _checked(tokens: TokenVectors) -> TokenVectors:
    """Refuse vectors that are no numbers, before they are stored."""
    if not np.isfinite(tokens).all():
        raise TwinlensError("learning gave vectors that are not numbers; nothing was stored")
    return tokens
