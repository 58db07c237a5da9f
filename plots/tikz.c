// What a rewritten figure is made of, as TikZ: one command for each, in units that the picture's axes scale.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plots/rewrite.h"

static void put_colour(struct text *out, const char *hex) {
  long value = strtol(hex + 1, NULL, 16);
  text_format(out, "{rgb,255:red,%ld;green,%ld;blue,%ld}", value >> 16 & 255, value >> 8 & 255, value & 255);
}

void tikz_begin(const struct figure *figure, const struct drawing_kind *kind, double width, double height,
                struct text *out) {
  double text = kind->unit * TEXT_UNITS;
  text_format(out, "%% %s: drawn by isoloss plot. In the preamble: \\usepackage{tikz}; here: \\input{%s.tex}\n",
              figure->name, figure->name);
  text_format(out,
              "\\begin{tikzpicture}[x=%.5gbp,y=-%.5gbp,line join=round,"
              "every node/.style={inner sep=0pt,outer sep=0pt,font=\\fontsize{%.4gbp}{%.4gbp}\\selectfont}]\n"
              "\\useasboundingbox (0,0) rectangle (%g,%g);\n",
              kind->unit, kind->unit, text, 1.2 * text, width, height);
}

void tikz_end(struct text *out) { text_add(out, "\\end{tikzpicture}%\n"); }

// The places of a path "M1,2 L3,4 M5,6" or of a polygon "1,2 3,4".
static void put_places(struct text *out, const char *d, size_t length, const char *join) {
  bool first = true;
  for (const char *c = d; c < d + length;) {
    if (strchr(" \n\t\r", *c)) {
      c++;
      continue;
    }
    bool move = *c == 'M', line = *c == 'L' || (*c != 'M' && *c != 'Z' && *c != 'z');
    if (*c == 'Z' || *c == 'z') {
      text_add(out, " -- cycle");
      c++;
      continue;
    }
    if (*c == 'M' || *c == 'L') c++;
    char *end;
    double x = strtod(c, &end);
    if (end == c || *end != ',') break;
    double y = strtod(end + 1, &end);
    text_format(out, "%s(%g,%g)", first ? "" : move || !line ? " " : join, x, y);
    first = false;
    c = end;
  }
}

void tikz_path(const struct drawing_kind *kind, const char *hex, double width, const char *dash, const char *d,
               size_t length, struct text *out) {
  text_add(out, "\\draw[color=");
  put_colour(out, hex);
  text_format(out, ",line width=%.4gbp", width * kind->unit);
  if (*dash) {
    // "7.8,4.9": on, off
    text_add(out, ",dash pattern=");
    bool on = true;
    for (const char *c = dash; *c;) {
      char *end;
      double part = strtod(c, &end);
      if (end == c) break;
      text_format(out, "%s%s %.4gbp", c == dash ? "" : " ", on ? "on" : "off", part * kind->unit);
      on = !on;
      c = *end == ',' ? end + 1 : end;
    }
  }
  text_add(out, "] ");
  put_places(out, d, length, " -- ");
  text_add(out, ";\n");
}

void tikz_polygon(const char *hex, double opacity, const char *points, size_t length, struct text *out) {
  text_add(out, "\\fill[color=");
  put_colour(out, hex);
  if (opacity < 1) text_format(out, ",opacity=%g", opacity);
  text_add(out, "] ");
  put_places(out, points, length, " -- ");
  text_add(out, " -- cycle;\n");
}

void tikz_mark(const struct drawing_kind *kind, const struct mark *mark, const char *hex, struct text *out) {
  double places[MARK_PLACES][2];
  int count = mark_places(mark, places);
  text_format(out, "\\%s[", mark->filled ? "fill" : "filldraw");
  if (!mark->filled) {
    text_add(out, "fill=");
    put_colour(out, ink_paper.light);
    text_format(out, ",line width=%.4gbp,draw=", mark_stroke * kind->unit);
    put_colour(out, hex);
  } else {
    text_add(out, "color=");
    put_colour(out, hex);
  }
  text_add(out, "] ");
  if (count == 0) {
    text_format(out, "(%g,%g) circle[radius=%.4gbp];\n", mark->x, mark->y, mark->size * kind->unit);
    return;
  }
  for (int i = 0; i < count; i++) text_format(out, "%s(%.2f,%.2f)", i ? " -- " : "", places[i][0], places[i][1]);
  text_add(out, " -- cycle;\n");
}

// Further signs than tex_sign's. Superscripts follow each other in one exponent.
static const struct {
  const char *character, *tex;
} spelt[] = {{"^", "\\^{}"}, {"…", "\\dots{}"}, {"ρ", "$\\rho$"}, {"\n", " "}};
static const char *const superscripts[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹", "⁻"};

static void put_words(struct text *out, const char *text) {
  bool raised = false;
  while (*text) {
    int digit = -1;
    for (int i = 0; i < (int)(sizeof superscripts / sizeof *superscripts); i++)
      if (starts_with(text, superscripts[i])) digit = i;
    if ((digit >= 0) != raised) text_add(out, raised ? "}$" : "$^{");
    raised = digit >= 0;
    if (raised) {
      text_char(out, digit == 10 ? '-' : (char)('0' + digit));
      text += strlen(superscripts[digit]);
      continue;
    }
    const char *tex = NULL;
    size_t length = tex_sign(text, &tex);
    if (!length) length = 1;
    for (size_t i = 0; i < sizeof spelt / sizeof *spelt && !tex; i++)
      if (starts_with(text, spelt[i].character)) {
        tex = spelt[i].tex;
        length = strlen(spelt[i].character);
      }
    if (tex)
      text_add(out, tex);
    else if ((unsigned char)*text >= 0x20 && *text != 0x7F)
      text_char(out, *text);
    text += length;
  }
  if (raised) text_add(out, "}$");
}

void tikz_text(const struct label *label, double x, double y, double angle, const char *anchor, const char *hex,
               struct text *out) {
  const char *where = strcmp(anchor, "middle") == 0 ? "base" : strcmp(anchor, "end") == 0 ? "base east" : "base west";
  text_format(out, "\\node[anchor=%s", where);
  if (angle != 0) text_format(out, ",rotate=%g", -angle);
  text_add(out, ",text=");
  put_colour(out, hex);
  text_format(out, "] at (%.2f,%.2f) {%s", x, y, label->bold ? "\\bfseries " : "");
  put_words(out, label->text);
  text_add(out, "};\n");
}
