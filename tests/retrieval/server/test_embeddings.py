"""POST /v1/embeddings in OpenAI's form: the vectors of the library's model, within limits."""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.fakes import ColourEncoder, draw
from tests.retrieval.server.colours import Running

PATH = "/v1/embeddings"


def _uri(path: Path) -> str:
    """A picture as a data URI."""
    return "data:image/png;base64," + b64encode(path.read_bytes()).decode()


def test_texts_and_pictures_in_their_order(site: Running, tmp_path: Path) -> None:
    picture = draw(tmp_path / "a.png", "red", "blue")
    answer = site.post(PATH, {"input": ["a red door", _uri(picture), "blue"], "model": "colours"})
    assert answer.status == 200
    told = answer.json
    assert (told["object"], told["model"]) == ("list", "colours")
    assert told["usage"] == {"prompt_tokens": 5, "total_tokens": 5}
    assert [(each["object"], each["index"]) for each in told["data"]] == [
        ("embedding", 0),
        ("embedding", 1),
        ("embedding", 2),
    ]
    encoder = ColourEncoder()
    want = np.concatenate(
        [
            encoder.encode_texts(["a red door"]),
            encoder.encode_images([Image.open(picture)]),
            encoder.encode_texts(["blue"]),
        ]
    )
    got = np.array([each["embedding"] for each in told["data"]], dtype=np.float32)
    np.testing.assert_array_equal(got, want)


def test_one_text_and_base64(site: Running) -> None:
    (want,) = ColourEncoder().encode_texts(["green"])
    told = site.post(PATH, {"input": "green", "encoding_format": "base64", "user": "me"}).json
    (got,) = [np.frombuffer(b64decode(each["embedding"]), dtype="<f4") for each in told["data"]]
    np.testing.assert_array_equal(got, want)


def test_the_dimensions_are_those_of_the_model(site: Running) -> None:
    assert site.post(PATH, {"input": "red", "dimensions": ColourEncoder().dim}).status == 200
    assert site.post(PATH, {"input": "red", "dimensions": 3}).code == "usage"


@pytest.mark.parametrize(
    ("wrong", "code", "said"),
    [
        ({"input": "red", "model": "text-embedding-3-small"}, "not_found", "colours"),
        ({"input": "https://example.org/a.jpg"}, "usage", "none is fetched"),
        ({"input": "file:///etc/passwd"}, "usage", "none is fetched"),
        ({"input": "data:text/html;base64,AAAA"}, "usage", "is no picture"),
        ({"input": "data:image/png;base64,????"}, "usage", "is no base64"),
        ({"input": "data:image/png;base64,AAAA"}, "unreadable", "not an image"),
        ({"input": " "}, "usage", "is empty"),
        ({"input": "x" * 2_001}, "usage", "2,001 characters"),
        ({"input": ""}, "usage", "input"),
        ({"input": []}, "usage", "input"),
        ({"input": ["red"] * 257}, "usage", "input"),
        ({"input": [1, 2, 3]}, "usage", "input"),
        ({}, "usage", "input"),
    ],
)
def test_a_wrong_request_says_what_is_wrong(
    site: Running, wrong: dict[str, object], code: str, said: str
) -> None:
    answer = site.post(PATH, wrong)
    assert answer.code == code
    assert said in answer.json["detail"]
