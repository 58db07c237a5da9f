"""A parsed HTML page of isoloss's: whether its tags are balanced and it loads nothing, its text, tags and tables."""
import html.parser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(html.parser.HTMLParser):
    """problems: what is wrong with it; tables: rows of cells by the class of the table."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.stack, self.tags, self.text, self.problems = [], [], [], []
        self.tables, self.ids = {}, set()
        self.scripts, self.script = 0, ""
        self.feed(text)
        self.close()
        if self.scripts > 1:
            self.problems.append(f"{self.scripts} scripts")
        if self.stack:
            self.problems.append(f"not closed: {self.stack}")

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        if len(names) != len(set(names)):
            self.problems.append(f"attribute twice in <{tag}>")
        values = dict(attributes)
        self.tags.append((tag, values))
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "srcset", "action", "data") or name.startswith("on"):
                self.problems.append(f"<{tag} {name}={value!r}>")
            if name == "id":
                if value in self.ids:
                    self.problems.append(f"id {value} twice")
                self.ids.add(value)
        if tag in ("link", "iframe", "object", "embed", "img", "base"):
            self.problems.append(f"<{tag}>")
        self.scripts += tag == "script"
        if tag == "table":
            self.rows = self.tables.setdefault(values.get("class", ""), [])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        if not self.stack or self.stack[-1] != tag:
            self.problems.append(f"</{tag}> closes {self.stack[-3:]}")
        else:
            self.stack.pop()

    def handle_data(self, data):
        if self.stack and self.stack[-1] == "script":
            self.script = data
            return
        self.text.append(data)
        if self.stack and ("td" in self.stack or "th" in self.stack):
            self.rows[-1][-1] += data

    def words(self):
        return " ".join("".join(self.text).split())

    def count(self, tag):
        return sum(1 for name, _ in self.tags if name == tag)
