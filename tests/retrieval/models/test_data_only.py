"""Code of a repository is not run, even where its own settings trust it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoTokenizer

from retrieval.models.data_only import data_only


@pytest.mark.parametrize("trusted", [None, True, False])
@pytest.mark.parametrize("kind", [AutoTokenizer, AutoConfig])
def test_code_is_refused_however_it_is_asked_for(
    kind: type[AutoTokenizer] | type[AutoConfig],
    trusted: bool | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """open_clip passes on what a model's config says, `trust_remote_code` too."""
    named = {"AutoConfig": "evil.C", "AutoTokenizer": ["evil.C", None]}
    for name in ("config.json", "tokenizer_config.json"):
        (tmp_path / name).write_text(json.dumps({"model_type": "evil", "auto_map": named}))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')\nclass C: pass\n")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("it asked"))
    with data_only(), pytest.raises(ValueError):  # noqa: PT011 - transformers words it
        kind.from_pretrained(tmp_path, trust_remote_code=trusted)
    assert not (tmp_path / "mark").exists()


def test_what_it_changes_is_changed_back() -> None:
    from transformers import dynamic_module_utils as dynamic

    before = dynamic.TIME_OUT_REMOTE_CODE, dynamic.get_cached_module_file
    with pytest.raises(KeyError), data_only():
        raise KeyError
    assert (dynamic.TIME_OUT_REMOTE_CODE, dynamic.get_cached_module_file) == before
