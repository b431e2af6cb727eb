import pytest

from agents.html_page.markdown import inline, page

README = """# Sea *chart*

Wind & waves.
Twice:

- one
  more
- `a<b>`

## Use

1. read
2. [go](https://a.example/?b=1&c=2)

```sh
rm -rf <dir>
```

| a | b |
|---|---|
| 1 | **2** |
"""


def test_what_people_write_becomes_html() -> None:
    made = page([("", README)])
    for each in (
        '<h1 id="sea-chart">Sea <em>chart</em></h1>',
        "<title>Sea chart</title>",
        "<p>Wind &amp; waves. Twice:</p>",
        "<ul><li>one more</li><li><code>a&lt;b&gt;</code></li></ul>",
        '<ol><li>read</li><li><a href="https://a.example/?b=1&amp;c=2">go</a></li></ol>',
        "<pre><code>rm -rf &lt;dir&gt;</code></pre>",
        "<td>1</td><td><strong>2</strong></td>",
    ):
        assert each in made


@pytest.mark.parametrize(
    "hostile", ["<script>x</script>", "[x](javascript:alert(1))", '[a"b](https://x/"onclick=1)', "\x000\x00"]
)
def test_a_text_is_shown_and_never_run(hostile: str) -> None:
    made = inline(hostile)
    assert "<script" not in made
    assert 'href="javascript' not in made
    assert '"onclick' not in made
