"""An HTML page as its reader meets it."""

from html.parser import HTMLParser


class Reader(HTMLParser):
    """What a page says: its tags, its text, and how many lines there are to write on."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.pieces: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())

    @property
    def gaps(self) -> int:
        return self.attributes.count(("class", "gap"))
