// From the page to Markdown and LaTeX. The page is the one place where a report is worded; this knows the elements that
// the page is made of and nothing of what they say.
#include <stdlib.h>
#include <string.h>

#include "runner/report/write.h"

enum { MOST_CELLS = 64 };  // of a row

struct cell {
  const char *text;  // in the target's form
  bool left, wraps;
};
struct row {
  struct cell cells[MOST_CELLS];
  size_t count;
};

struct converter {
  bool latex;
  const struct report_figures *figures;
  struct text *out;
  struct arena arena;
  struct text line;  // of the block that is being read
  bool verbatim, code;
  const char *skipped;  // the element whose content is left out, or NULL
  const char *term;     // of a list of terms
  char figure[120];     // name of the one that is being read
  struct row
      *rows;  // of the table that is being read: doubled when full, so that a table of many runs is copied little
  size_t row_count, row_room;
};

// ---- words ----

static void put_escaped(struct converter *c, const char *text) {
  static const struct {
    const char *from, *to;
  } signs[] = {{"^", "\\textasciicircum{}"},
               {"<", "\\textless{}"},
               {">", "\\textgreater{}"},
               {"|", "\\textbar{}"},
               {"[", "{[}"},
               {"*", "{*}"},
               {"…", "\\ldots{}"},
               {"≤", "$\\leq$"},
               {"≥", "$\\geq$"},
               {"\xC2\xA0", "~"}};
  while (*text) {
    const char *tex;
    size_t length = c->latex ? tex_sign(text, &tex) : 0;
    if (length) text_add(&c->line, tex);
    for (size_t i = 0; c->latex && !length && i < sizeof signs / sizeof *signs; i++)
      if (starts_with(text, signs[i].from)) {
        text_add(&c->line, signs[i].to);
        length = strlen(signs[i].from);
      }
    if (!length && !c->latex && strchr(c->code ? "|" : "\\`*_<>|#[]", *text)) text_char(&c->line, '\\');
    if (!length) text_char(&c->line, *text);
    text += length ? length : 1;
  }
}

// The text of one element, its entities decoded; white space is one space outside of <pre>.
static void put_words(struct converter *c, const char *from, size_t length) {
  static const struct {
    const char *entity, *text;
  } entities[] = {{"&amp;", "&"},   {"&lt;", "<"},  {"&gt;", ">"},
                  {"&quot;", "\""}, {"&#39;", "'"}, {"&nbsp;", "\xC2\xA0"}};
  struct text words = {0};
  for (size_t i = 0; i < length;) {
    size_t taken = 0;
    for (size_t e = 0; from[i] == '&' && !taken && e < sizeof entities / sizeof *entities; e++)
      if (strncmp(from + i, entities[e].entity, strlen(entities[e].entity)) == 0) {
        text_add(&words, entities[e].text);
        taken = strlen(entities[e].entity);
      }
    bool space = !c->verbatim && strchr(" \n\t", from[i]);
    bool after = words.length ? words.bytes[words.length - 1] == ' ' : c->line.length == 0;
    if (!taken && !(space && after)) text_char(&words, space ? ' ' : from[i]);
    i += taken ? taken : 1;
  }
  if (c->verbatim)
    text_add(&c->line, text_string(&words));
  else
    put_escaped(c, text_string(&words));
  text_free(&words);
}

// The block's words, without spaces at their ends; empties it.
static const char *take_line(struct converter *c) {
  while (c->line.length && c->line.bytes[c->line.length - 1] == ' ') c->line.bytes[--c->line.length] = '\0';
  const char *words = arena_string(&c->arena, text_string(&c->line));
  text_clear(&c->line);
  return words;
}

static void put_block(struct converter *c, const char *before, const char *after) {
  const char *words = take_line(c);
  if (*words) text_format(c->out, "%s%s%s", before, words, after);
}

// ---- tables ----

// Letters that TeX sets of a cell's text, whose commands are a letter each.
static size_t letters(const char *tex) {
  size_t count = 0;
  for (; *tex; tex++) {
    if (*tex == '\\') {
      while ((tex[1] >= 'a' && tex[1] <= 'z') || (tex[1] >= 'A' && tex[1] <= 'Z')) tex++;
      count++;
    } else if (*tex != '{' && *tex != '}' && ((unsigned char)*tex & 0xC0) != 0x80) {
      count++;
    }
  }
  return count;
}

// How a LaTeX table is set: letters and the space between columns in points, on a line of LINE_POINTS.
enum { LINE_POINTS = 345, WRAPPED_POINTS = 138 };
static const struct {
  const char *command;
  double letter, space;
} sizes[] = {{"\\small", 4.9, 12}, {"\\footnotesize", 4.4, 8}, {"\\scriptsize", 3.9, 6}};
enum { SIZES = sizeof sizes / sizeof *sizes };

struct columns {
  size_t count, letters[MOST_CELLS];
  bool wraps[MOST_CELLS];
};

static struct columns measure_columns(const struct converter *c) {
  struct columns columns = {.count = c->rows[0].count};
  for (size_t r = 0; r < c->row_count; r++)
    for (size_t i = 0; i < c->rows[r].count && i < columns.count; i++) {
      size_t count = letters(c->rows[r].cells[i].text);
      if (count > columns.letters[i]) columns.letters[i] = count;
      columns.wraps[i] |= c->rows[r].cells[i].wraps;
    }
  return columns;
}

static double column_width(const struct columns *columns, size_t i, size_t size) {
  return (columns->wraps[i] ? WRAPPED_POINTS : (double)columns->letters[i] * sizes[size].letter) + sizes[size].space;
}

// The first column, which names the row, and those from `first` to before `end`.
static void put_latex_row(struct converter *c, const struct row *row, size_t first, size_t end) {
  if (row->count) text_add(c->out, row->cells[0].text);
  for (size_t i = first; i < end && i < row->count; i++) text_format(c->out, " & %s", row->cells[i].text);
  text_add(c->out, " \\\\\n");
}

static void put_latex_part(struct converter *c, const struct columns *columns, size_t first, size_t end, size_t size) {
  text_format(c->out, "{%s\\setlength{\\tabcolsep}{%gpt}\n\\begin{longtable}{@{}", sizes[size].command,
              sizes[size].space / 2);
  for (size_t i = 0; i < end; i = i ? i + 1 : first)
    text_add(c->out, columns->wraps[i] ? "p{0.4\\linewidth}" : c->rows[0].cells[i].left ? "l" : "r");
  text_add(c->out, "@{}}\n\\toprule\n");
  put_latex_row(c, &c->rows[0], first, end);
  text_add(c->out, "\\midrule\n\\endhead\n");
  for (size_t r = 1; r < c->row_count; r++) put_latex_row(c, &c->rows[r], first, end);
  text_add(c->out, "\\bottomrule\n\\end{longtable}}\n\n");
}

// In the largest letters in which it fits onto the line; a table too wide for the smallest is several, one below the
// other, each with the first column.
static void put_latex_table(struct converter *c) {
  struct columns columns = measure_columns(c);
  size_t size = 0;
  for (; size < SIZES; size++) {
    double width = 0;
    for (size_t i = 0; i < columns.count; i++) width += column_width(&columns, i, size);
    if (width <= LINE_POINTS) break;
  }
  if (size == SIZES) size = SIZES - 1;
  for (size_t first = 1, end; first == 1 || first < columns.count; first = end) {
    double width = column_width(&columns, 0, size);
    for (end = first; end < columns.count; end++) {
      width += column_width(&columns, end, size);
      if (width > LINE_POINTS && end > first) break;
    }
    put_latex_part(c, &columns, first, end, size);
    if (end <= first) break;
  }
}

static void put_row(struct converter *c, const struct row *row) {
  text_char(c->out, '|');
  for (size_t i = 0; i < row->count; i++) text_format(c->out, " %s |", row->cells[i].text);
  text_char(c->out, '\n');
}

static void put_table(struct converter *c) {
  if (!c->row_count || !c->rows[0].count) return;
  if (c->latex) {
    put_latex_table(c);
    return;
  }
  put_row(c, &c->rows[0]);
  text_char(c->out, '|');
  for (size_t i = 0; i < c->rows[0].count; i++) text_add(c->out, c->rows[0].cells[i].left ? " --- |" : " --: |");
  text_char(c->out, '\n');
  for (size_t r = 1; r < c->row_count; r++) put_row(c, &c->rows[r]);
  text_char(c->out, '\n');
}

static void end_cell(struct converter *c) {
  struct row *row = c->row_count ? &c->rows[c->row_count - 1] : NULL;
  if (row && row->count) row->cells[row->count - 1].text = take_line(c);
}

static void begin_cell(struct converter *c, const char *tag, size_t length) {
  if (!c->row_count || c->rows[c->row_count - 1].count == MOST_CELLS) return;
  struct row *row = &c->rows[c->row_count - 1];
  row->cells[row->count++] =
      (struct cell){"", memmem(tag, length, "\"text", 5) != NULL, memmem(tag, length, " wrap\"", 6) != NULL};
}

static void begin_row(struct converter *c) {
  if (c->row_count == c->row_room) {
    c->row_room = c->row_room ? 2 * c->row_room : 64;
    c->rows = memory_grow(c->rows, c->row_room * sizeof *c->rows);
  }
  c->rows[c->row_count++].count = 0;
}

// ---- elements ----

static void begin_figure(struct converter *c, const char *tag, size_t length) {
  const char *name = memmem(tag, length, "data-name=\"", 11);
  snprintf(c->figure, sizeof c->figure, "%.*s", name ? (int)strcspn(name + 11, "\"") : 0, name ? name + 11 : "");
}

static void end_caption(struct converter *c) {
  const char *folder = c->figures ? c->figures->folder : NULL, *words = take_line(c);
  if (c->latex && folder)
    text_format(
        c->out,
        "\\begin{figure}[htbp]\n\\makebox[\\linewidth][c]{\\includegraphics{%s/%s.pdf}}\n\\caption{%s}\n\\end{figure}\n\n",
        folder, c->figure, words);
  else if (folder)
    text_format(c->out, "![%s](%s/%s.svg)\n\n%s\n\n", c->figure, folder, c->figure, words);
  else
    text_format(c->out, "%s\n\n", words);
}

static void end_verbatim(struct converter *c) {
  const char *words = take_line(c), *end = "\\end{verbatim}";
  c->verbatim = false;
  if (!c->latex) {
    // A fence longer than any in the text.
    size_t fence = 3, run = 0;
    for (const char *w = words; *w; w++) {
      run = *w == '`' ? run + 1 : 0;
      if (run >= fence) fence = run + 1;
    }
    for (size_t i = 0; i < fence; i++) text_char(c->out, '`');
    text_format(c->out, "\n%s\n", words);
    for (size_t i = 0; i < fence; i++) text_char(c->out, '`');
    text_add(c->out, "\n\n");
    return;
  }
  text_add(c->out, "{\\scriptsize\n\\begin{verbatim}\n");
  for (const char *found; (found = strstr(words, end)); words = found + strlen(end)) {
    text_append(c->out, words, (size_t)(found - words));
    text_add(c->out, "\\end {verbatim}");  // which does not end it
  }
  text_format(c->out, "%s\n\\end{verbatim}\n}\n\n", words);
}

// Elements whose text is a block of its own, and what is before and after it.
static const struct {
  const char *tag, *markdown[2], *latex[2];
} blocks[] = {
    {"h1", {"# ", "\n\n"}, {"\\section*{", "}\n\n"}},
    {"h2", {"## ", "\n\n"}, {"\\subsection*{", "}\n\n"}},
    {"h3", {"### ", "\n\n"}, {"\\subsubsection*{", "}\n\n"}},
    {"p", {"", "\n\n"}, {"", "\n\n"}},
    {"summary", {"**", "**\n\n"}, {"\\paragraph{", "}\n\n"}},
    {"li", {"- ", "\n"}, {"\\item ", "\n"}},
    {"footer", {"", "\n"}, {"", "\n"}},
};
static const struct {
  const char *tag, *markdown[2], *latex[2];
} spans[] = {
    {"b", {"**", "**"}, {"\\textbf{", "}"}},
    {"code", {"`", "`"}, {"\\texttt{", "}"}},
};
static const char *const skipped[] = {"head", "svg", "script"};

static void put_tag(struct converter *c, const char *name, bool end, const char *tag, size_t length) {
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
    if (strcmp(blocks[i].tag, name) != 0) continue;
    const char *const *around = c->latex ? blocks[i].latex : blocks[i].markdown;
    if (end) put_block(c, around[0], around[1]);
    return;
  }
  if (strcmp(name, "code") == 0) c->code = !end;
  for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
    if (strcmp(spans[i].tag, name) == 0) text_add(&c->line, (c->latex ? spans[i].latex : spans[i].markdown)[end]);
  if (strcmp(name, "ul") == 0)
    text_add(c->out, !c->latex ? (end ? "\n" : "") : end ? "\\end{itemize}\n\n" : "\\begin{itemize}\n");
  if (strcmp(name, "dl") == 0)
    text_add(c->out, !c->latex ? (end ? "\n" : "") : end ? "\\end{description}\n\n" : "\\begin{description}\n");
  if (strcmp(name, "dt") == 0 && end) c->term = take_line(c);
  if (strcmp(name, "dd") == 0 && end)
    text_format(c->out, c->latex ? "\\item[%s] %s\n" : "- **%s**: %s\n", c->term, take_line(c));
  if (strcmp(name, "pre") == 0) {
    if (end)
      end_verbatim(c);
    else
      c->verbatim = true;
  }
  if (strcmp(name, "tr") == 0 && !end) begin_row(c);
  if (strcmp(name, "td") == 0 || strcmp(name, "th") == 0) {
    if (end)
      end_cell(c);
    else
      begin_cell(c, tag, length);
  }
  if (strcmp(name, "table") == 0) {
    if (end) put_table(c);
    c->row_count = 0;
  }
  if (strcmp(name, "figure") == 0 && !end) begin_figure(c, tag, length);
  if (strcmp(name, "figcaption") == 0 && end) end_caption(c);
}

static void take_tag(struct converter *c, const char *tag, size_t length) {
  char name[16];
  bool end = tag[1] == '/';
  size_t n = strcspn(tag + 1 + end, " >\n/");
  if (n == 0 || n >= sizeof name || tag[1] == '!') return;
  snprintf(name, sizeof name, "%.*s", (int)n, tag + 1 + end);
  if (c->skipped) {
    if (end && strcmp(name, c->skipped) == 0) c->skipped = NULL;
    return;
  }
  for (size_t i = 0; i < sizeof skipped / sizeof *skipped; i++)
    if (!end && strcmp(name, skipped[i]) == 0) c->skipped = skipped[i];
  if (!c->skipped) put_tag(c, name, end, tag, length);
}

void report_convert(const char *page, enum report_form form, const struct report_figures *figures, struct text *out) {
  struct converter c = {.latex = form == REPORT_LATEX, .figures = figures, .out = out, .term = ""};
  for (const char *at = page; *at;) {
    if (*at == '<') {
      const char *end = strchr(at, '>');
      if (!end) break;
      take_tag(&c, at, (size_t)(end - at) + 1);
      at = end + 1;
    } else {
      size_t length = strcspn(at, "<");
      if (!c.skipped) put_words(&c, at, length);
      at += length;
    }
  }
  text_free(&c.line);
  free(c.rows);
  arena_free(&c.arena);
}
