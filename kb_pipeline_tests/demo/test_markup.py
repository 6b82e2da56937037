"""The light markup of content/ and how each piece of it is read."""

from __future__ import annotations

import pytest

from kb_pipeline.demo.markup import Code, Heading, Items, PageBreak, Paragraph, Table, read_markup

TEXT = """header: Handbook: part one
owner: HR

# Title

## Heading

First line
goes on.

- one
- two

1. first
2. second

| A | B |
| 1 | |

```
x = 1

y = 2
```

---
"""


def test_every_block_is_read_for_what_it_is() -> None:
    markup = read_markup(TEXT)
    assert markup.fields == {"header": "Handbook: part one", "owner": "HR"}
    assert markup.blocks == (
        Heading(1, "Title"),
        Heading(2, "Heading"),
        Paragraph("First line goes on."),
        Items(("one", "two"), ordered=False),
        Items(("first", "second"), ordered=True),
        Table((("A", "B"), ("1", ""))),
        Code("x = 1\n\ny = 2"),
        PageBreak(),
    )


def test_the_title_chooses_the_language() -> None:
    assert read_markup("a: b\n\n# 制度\n\nText").chinese
    assert not read_markup("a: b\n\n# Policy\n\n正文").chinese


def test_a_field_without_a_colon_is_refused() -> None:
    with pytest.raises(ValueError, match="not a field"):
        read_markup("no field here\n\n# Title")
