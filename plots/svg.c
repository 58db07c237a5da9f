// From gnuplot's SVG to ours. gnuplot's has fixed ids (two figures in one page would clash), names the program's
// version, wraps each stroke in groups, and knows colours only as numbers. Here every mark becomes one plain element
// with our words and, for a page, colours as CSS variables.
#include <stdlib.h>
#include <string.h>

#include "plots/rewrite.h"

enum { MAX_DEPTH = 32 };

struct group {
  char width[16];      // stroke width
  char transform[96];  // "x,y" and rotation of a text
  char anchor[16];
};

struct rewriter {
  const struct drawing_kind *kind;
  const struct labels *labels;
  struct text *out;
  struct group stack[MAX_DEPTH];
  int depth;
  struct text path;     // d of paths with the same look that follow each other
  char path_look[200];  // their attributes
};

// ---- reading gnuplot's tags ----

// Copies the value of an attribute of the tag text[0..length); empty when it is not there.
static bool attribute(const char *tag, size_t length, const char *name, char *out, size_t size) {
  size_t n = strlen(name);
  out[0] = '\0';
  for (size_t i = 1; i + n < length; i++) {
    if (strncmp(tag + i, name, n) != 0 || !strchr(" \t\n", tag[i - 1])) continue;
    size_t j = i + n;
    while (j < length && tag[j] == ' ') j++;
    if (tag[j] != '=') continue;
    j++;
    while (j < length && tag[j] == ' ') j++;
    const char *end = memchr(tag + j + 1, tag[j], length - j - 1);
    if (!end) return false;
    size_t value = (size_t)(end - (tag + j + 1));
    if (value >= size) value = size - 1;
    memcpy(out, tag + j + 1, value);
    out[value] = '\0';
    return true;
  }
  return false;
}

// The start of an attribute's value that may be long; *value_length gets its length.
static const char *long_attribute(const char *tag, size_t length, const char *start, size_t *value_length) {
  const char *found = memmem(tag, length, start, strlen(start));
  if (!found) return NULL;
  found += strlen(start);
  char quote = found[-1];
  const char *end = memchr(found, quote, length - (size_t)(found - tag));
  if (!end) return NULL;
  *value_length = (size_t)(end - found);
  return found;
}

// "#0072b2" of a colour as gnuplot writes it.
static const char *hex_of(const char *given, char hex[8]) {
  int red, green, blue;
  if (sscanf(given, "rgb(%d ,%d ,%d", &red, &green, &blue) == 3)
    snprintf(hex, 8, "#%02x%02x%02x", red & 255, green & 255, blue & 255);
  else if (given[0] == '#' && strlen(given) == 7)
    memcpy(hex, given, 8);
  else
    memcpy(hex, ink_text.light, 8);  // "black"
  return hex;
}

static void put_colour(struct rewriter *r, const char *given, struct text *out) {
  char hex[8];
  const struct ink *ink = ink_by_light(hex_of(given, hex));
  if (r->kind->inline_in_html && ink)
    text_format(out, "var(--figure-%s,%s)", ink->name, hex);
  else
    text_add(out, hex);
}

// ---- writing ----

void markup_escape(struct text *out, const char *text) {
  size_t length = strlen(text);
  for (size_t i = 0; i < length;) {
    size_t good = utf8_valid_prefix(text + i, length - i);
    for (size_t end = i + good; i < end; i++) {
      char c = text[i];
      if (c == '&')
        text_add(out, "&amp;");
      else if (c == '<')
        text_add(out, "&lt;");
      else if (c == '>')
        text_add(out, "&gt;");
      else if (c == '"')
        text_add(out, "&quot;");
      else if (c == '\'')
        text_add(out, "&#39;");
      else if (((unsigned char)c < 0x20 && c != '\n' && c != '\t') || c == 0x7F)
        text_add(out, "\xEF\xBF\xBD");  // XML has no way to write control characters
      else
        text_char(out, c);
    }
    if (i < length) {
      text_add(out, "\xEF\xBF\xBD");
      i++;
    }
  }
}

static void flush_path(struct rewriter *r) {
  if (r->path.length) text_format(r->out, "<path %s d=\"%s\"/>\n", r->path_look, r->path.bytes);
  text_clear(&r->path);
}

static void put_path(struct rewriter *r, const char *tag, size_t length) {
  char stroke[40], dash[60];
  attribute(tag, length, "stroke", stroke, sizeof stroke);
  attribute(tag, length, "stroke-dasharray", dash, sizeof dash);
  size_t d_length;
  const char *d = long_attribute(tag, length, " d='", &d_length);
  if (!d) return;
  while (d_length && strchr(" \n", d[d_length - 1])) d_length--;
  if (r->kind->tikz) {
    char hex[8];
    tikz_path(r->kind, hex_of(stroke, hex), atof(r->stack[r->depth].width), dash, d, d_length, r->out);
    return;
  }
  struct text look = {0};
  text_add(&look, "fill=\"none\" stroke=\"");
  put_colour(r, stroke, &look);
  text_format(&look, "\" stroke-width=\"%g\"", atof(r->stack[r->depth].width));
  if (*dash) text_format(&look, " stroke-dasharray=\"%s\"", dash);
  text_add(&look, " stroke-linejoin=\"round\"");
  if (strcmp(look.bytes, r->path_look) != 0) {
    flush_path(r);
    snprintf(r->path_look, sizeof r->path_look, "%s", look.bytes);
  }
  if (r->path.length) text_char(&r->path, ' ');
  text_append(&r->path, d, d_length);
  text_free(&look);
}

static void put_polygon(struct rewriter *r, const char *tag, size_t length) {
  char fill[40], opacity[20];
  attribute(tag, length, "fill", fill, sizeof fill);
  attribute(tag, length, "fill-opacity", opacity, sizeof opacity);
  size_t count;
  const char *points = long_attribute(tag, length, "points = '", &count);
  if (!points) points = long_attribute(tag, length, "points='", &count);
  if (!points) return;
  while (count && strchr(" \n", points[count - 1])) count--;
  if (r->kind->tikz) {
    char hex[8];
    tikz_polygon(hex_of(fill, hex), *opacity ? atof(opacity) : 1, points, count, r->out);
    return;
  }
  flush_path(r);
  text_add(r->out, "<polygon fill=\"");
  put_colour(r, fill, r->out);
  if (*opacity && atof(opacity) < 1) text_format(r->out, "\" fill-opacity=\"%g", atof(opacity));
  text_add(r->out, "\" points=\"");
  text_append(r->out, points, count);
  text_add(r->out, "\"/>\n");
}

int mark_places(const struct mark *mark, double places[MARK_PLACES][2]) {
  static const double corners[][MARK_PLACES][2] = {
      {{-0.9, -0.9}, {0.9, -0.9}, {0.9, 0.9}, {-0.9, 0.9}},
      {{0, 0}},
      {{0, -1.37}, {-1.19, 0.69}, {1.19, 0.69}},
      {{0, 1.37}, {-1.19, -0.69}, {1.19, -0.69}},
      {{-1.27, 0}, {0, -1.27}, {1.27, 0}, {0, 1.27}},
      {{0, -1.12}, {1.065, -0.346}, {0.659, 0.906}, {-0.659, 0.906}, {-1.065, -0.346}},
  };
  static const int counts[] = {4, 0, 3, 3, 4, 5};
  int shape = (mark->outline - MARK_SQUARE) / 2;
  if (shape < 0 || shape >= (int)(sizeof counts / sizeof *counts)) return 0;
  for (int i = 0; i < counts[shape]; i++) {
    places[i][0] = mark->x + corners[shape][i][0] * mark->size;
    places[i][1] = mark->y + corners[shape][i][1] * mark->size;
  }
  return counts[shape];
}

// One mark: a circle, or a path round the place.
static void put_mark(struct rewriter *r, const char *tag, size_t length) {
  char type_text[20], transform[80], colour[40], hex[8];
  attribute(tag, length, "xlink:href", type_text, sizeof type_text);
  attribute(tag, length, "transform", transform, sizeof transform);
  attribute(tag, length, "color", colour, sizeof colour);
  // Error bars come with a blot of the page's colour under their mark; we draw our own rings.
  if (strcmp(colour, "white") == 0) return;
  struct mark mark;
  int type;
  if (sscanf(type_text, "#gpPt%d", &type) != 1 ||
      sscanf(transform, "translate(%lf,%lf) scale(%lf)", &mark.x, &mark.y, &mark.size) != 3)
    return;
  mark.filled = type % 2 == 0;  // gnuplot's defs count from 0: odd ones are outlines
  mark.outline = mark.filled ? type - 1 : type;
  if (!mark.filled) mark.size -= mark_stroke / 2;  // half of the stroke is outside
  if (r->kind->tikz) {
    tikz_mark(r->kind, &mark, hex_of(colour, hex), r->out);
    return;
  }
  flush_path(r);
  struct text look = {0};
  text_add(&look, "fill=\"");
  put_colour(r, mark.filled ? colour : ink_paper.light, &look);
  if (!mark.filled) {
    text_format(&look, "\" stroke-width=\"%g\" stroke=\"", mark_stroke);
    put_colour(r, colour, &look);
  }
  double places[MARK_PLACES][2];
  int count = mark_places(&mark, places);
  if (count == 0)
    text_format(r->out, "<circle %s\" cx=\"%.2f\" cy=\"%.2f\" r=\"%.2f\"/>\n", look.bytes, mark.x, mark.y, mark.size);
  else
    text_format(r->out, "<path %s\" d=\"", look.bytes);
  for (int i = 0; i < count; i++) text_format(r->out, "%c%.2f,%.2f", i ? 'L' : 'M', places[i][0], places[i][1]);
  if (count) text_add(r->out, "z\"/>\n");
  text_free(&look);
}

static void put_text(struct rewriter *r, const char *content) {
  while (*content == ' ') content++;
  char *end;
  if (*content != 'L') return;
  size_t number = strtoul(content + 1, &end, 10);
  if (*end != 'L' || number >= r->labels->count) return;
  const struct label *label = &r->labels->items[number];
  const struct group *group = &r->stack[r->depth];
  double x = 0, y = 0, angle = 0;
  const char *rotate = strstr(group->transform, "rotate(");
  sscanf(group->transform, "translate(%lf,%lf)", &x, &y);
  if (rotate) angle = atof(rotate + 7);
  if (r->kind->tikz) {
    tikz_text(label, x, y, angle, group->anchor, (label->muted ? ink_muted : ink_text).light, r->out);
    return;
  }
  flush_path(r);
  if (angle != 0)
    text_format(r->out, "<text transform=\"translate(%.2f,%.2f) rotate(%g)\"", x, y, angle);
  else
    text_format(r->out, "<text x=\"%.2f\" y=\"%.2f\"", x, y);
  if (*group->anchor && strcmp(group->anchor, "start") != 0) text_format(r->out, " text-anchor=\"%s\"", group->anchor);
  if (label->bold) text_add(r->out, " font-weight=\"600\"");
  if (label->muted) {
    text_add(r->out, " fill=\"");
    put_colour(r, ink_muted.light, r->out);
    text_char(r->out, '"');
  }
  text_char(r->out, '>');
  markup_escape(r->out, label->text);
  text_add(r->out, "</text>\n");
}

static bool is_tag(const char *tag, const char *name) {
  size_t n = strlen(name);
  return strncmp(tag + 1, name, n) == 0 && strchr(" \t\n>/", tag[1 + n]);
}

static void open_group(struct rewriter *r, const char *tag, size_t length) {
  struct group *below = &r->stack[r->depth];
  if (r->depth + 1 < MAX_DEPTH) r->depth++;
  struct group *group = &r->stack[r->depth];
  *group = *below;
  char value[96];
  if (attribute(tag, length, "stroke-width", value, sizeof value))
    snprintf(group->width, sizeof group->width, "%.15s", value);
  if (attribute(tag, length, "transform", value, sizeof value)) memcpy(group->transform, value, sizeof value);
  if (attribute(tag, length, "text-anchor", value, sizeof value))
    snprintf(group->anchor, sizeof group->anchor, "%.15s", value);
}

static bool rewrite_body(struct rewriter *r, const char *body) {
  for (const char *tag = strchr(body, '<'); tag; tag = strchr(tag, '<')) {
    const char *end = strchr(tag, '>');
    if (!end) return false;
    size_t length = (size_t)(end - tag) + 1;
    bool closed = end[-1] == '/';
    if (is_tag(tag, "g") && !closed)
      open_group(r, tag, length);
    else if (is_tag(tag, "/g"))
      r->depth -= r->depth > 0;
    else if (is_tag(tag, "path"))
      put_path(r, tag, length);
    else if (is_tag(tag, "polygon"))
      put_polygon(r, tag, length);
    else if (is_tag(tag, "use"))
      put_mark(r, tag, length);
    else if (is_tag(tag, "text") && !closed)
      put_text(r, end + 1);
    else if (is_tag(tag, "/svg"))
      return true;
    tag = end + 1;
  }
  return false;
}

static void put_head(struct rewriter *r, const struct figure *figure, int width, int height) {
  const struct drawing_kind *kind = r->kind;
  struct text *out = r->out;
  bool file = !kind->inline_in_html;
  if (file) text_add(out, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
  text_add(out, "<svg ");
  if (file) text_add(out, "xmlns=\"http://www.w3.org/2000/svg\" ");
  if (file && kind->width)
    text_format(out, "width=\"%s\" height=\"%s\" ", kind->width, kind->height);
  else if (file)
    text_format(out, "width=\"%d\" height=\"%d\" ", width, height);
  text_format(out, "viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", width, height);
  markup_escape(out, figure->caption ? figure->caption : figure->title ? figure->title : figure->name);
  text_add(out, "\" font-size=\"13\" fill=\"");
  put_colour(r, ink_text.light, out);
  if (!file) {
    text_format(out, "\" class=\"figure\" style=\"max-width:%dpx\">\n", width);
    return;
  }
  text_add(out, "\" font-family=\"");
  if (kind->font) {
    text_char(out, '\'');
    markup_escape(out, kind->font);
    text_add(out, "', ");
  }
  text_add(out, "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif\">\n<title>");
  markup_escape(out, figure->title ? figure->title : figure->name);
  text_format(out, "</title>\n<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", width, height);
}

bool svg_rewrite(const struct figure *figure, const struct drawing_kind *kind, const struct text *raw,
                 const struct labels *labels, struct text *out, struct error *error) {
  struct rewriter r = {.kind = kind, .labels = labels, .out = out};
  const char *all = text_string(raw), *defs = strstr(all, "</defs>"), *size = strstr(all, "viewBox=\"");
  char box[60] = "";
  int width = 0, height = 0;
  if (size) attribute(size - 1, (size_t)(strchr(size, '>') ? strchr(size, '>') - size : 0), "viewBox", box, sizeof box);
  if (!defs || sscanf(box, "0 0 %d %d", &width, &height) != 2)
    return error_set(error, EXIT_ENVIRONMENT, "gnuplot printed no SVG (is its svg terminal there?)");
  if (kind->tikz)
    tikz_begin(figure, kind, width, height, out);
  else
    put_head(&r, figure, width, height);
  bool fine = rewrite_body(&r, defs);
  flush_path(&r);
  if (kind->tikz)
    tikz_end(out);
  else
    text_add(out, "</svg>\n");
  text_free(&r.path);
  return fine || error_set(error, EXIT_ENVIRONMENT, "gnuplot's SVG ends early");
}
