// Expressions in a spec: parsing, checking their names, and finding the place in the file of a place in the text.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/spec/internal.h"

// ---- places ----

struct cursor {
  const char *at, *end;
  int line, column;
};

static void step(struct cursor *cursor) {
  if (*cursor->at == '\n') {
    cursor->line++;
    cursor->column = 0;
  }
  cursor->at++;
  while (cursor->at < cursor->end && ((unsigned char)*cursor->at & 0xC0) == 0x80) cursor->at++;
  cursor->column++;
}

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Walks the file from the node's place and its text side by side: YAML folds line breaks and indentation into single
// spaces, doubles quotes and escapes characters. False when they do not run in step (then the node's own place must
// do).
static bool find_place(const struct spec *spec, const struct node *node, int offset, int *line, int *column) {
  struct cursor c = {spec->source, spec->source + spec->source_length, 1, 1};
  if (spec->source_length >= 3 && memcmp(c.at, "\xEF\xBB\xBF", 3) == 0) c.at += 3;
  while (c.at < c.end && (c.line < node->line || c.column < node->column)) {
    if (c.line > node->line) return false;
    step(&c);
  }
  char quote = '\0';
  if (node->quoted && c.at < c.end) {
    if (*c.at == '|' || *c.at == '>') {
      while (c.at < c.end && *c.at != '\n') step(&c);
      while (c.at < c.end && blank(*c.at)) step(&c);
    } else if (*c.at == '"' || *c.at == '\'') {
      quote = *c.at;
      step(&c);
    }
  }
  for (int i = 0; i < offset && node->text[i]; i++) {
    unsigned char wanted = (unsigned char)node->text[i];
    if ((wanted & 0xC0) == 0x80) continue;  // moved over with the character's first byte
    if (c.at >= c.end) return false;
    if (blank((char)wanted)) {
      if (!blank(*c.at)) return false;
      if (*c.at == '\n' || *c.at == '\r' || wanted == '\n') {
        while (c.at < c.end && blank(*c.at)) step(&c);
        while (blank(node->text[i + 1])) i++;
      } else {
        // a run of blanks that ends a line is folded as a whole
        const char *ahead = c.at;
        while (ahead < c.end && (*ahead == ' ' || *ahead == '\t')) ahead++;
        if (ahead < c.end && *ahead == '\n')
          while (c.at < c.end && blank(*c.at)) step(&c);
        else
          step(&c);
      }
      continue;
    }
    if (quote == '\'' && *c.at == '\'') step(&c);
    if (quote == '"' && *c.at == '\\') {
      step(&c);
      if (c.at >= c.end || (*c.at != (char)wanted)) return false;
    }
    if ((unsigned char)*c.at != wanted) return false;
    step(&c);
  }
  *line = c.line;
  *column = c.column;
  return true;
}

void spec_error_at(const struct spec *spec, const struct node *node, int offset, struct diagnostics *diagnostics,
                   const char *hint, const char *format, ...) {
  int line = node->line, column = node->column;
  if (!find_place(spec, node, offset, &line, &column)) {
    line = node->line;
    column = node->column;
  }
  struct text text = {0};
  va_list arguments;
  va_start(arguments, format);
  text_vformat(&text, format, arguments);
  va_end(arguments);
  diagnostics_add(diagnostics, false, node->file, line, column, hint, "%s", text_string(&text));
  text_free(&text);
}

void spec_expression_error(const struct spec *spec, const struct node *node, const struct error *error,
                           const char *hint, struct diagnostics *diagnostics) {
  spec_error_at(spec, node, error->offset, diagnostics, error->hint[0] ? error->hint : hint, "%.*s",
                error_length(error) - (int)error->place, error->text + error->place);
}

// ---- names ----

static bool check_functions(struct spec_reader *reader, const struct node *node, int start,
                            const struct expression_node *expression) {
  bool fine = true;
  if (expression->kind == EXPRESSION_CALL) {
    size_t count = 0;
    bool known = false;
    while (expression_functions[count]) known |= strcmp(expression_functions[count++], expression->text) == 0;
    if (!known) {
      const char *near = nearest_name(expression->text, expression_functions, count);
      char hint[80];
      snprintf(hint, sizeof hint, "did you mean %.60s()?", near ? near : "");
      spec_error_at(reader->spec, node, start + expression->offset, reader->diagnostics, near ? hint : NULL,
                    "unknown function '%.60s'", expression->text);
      fine = false;
    }
  }
  for (int i = 0; i < expression->count; i++)
    fine = check_functions(reader, node, start, expression->arguments[i]) && fine;
  return fine;
}

bool spec_check_names(struct spec_reader *reader, const struct node *node, int start,
                      const struct expression *expression, enum spec_name_set names) {
  bool fine = check_functions(reader, node, start, expression->root);
  for (int i = 0; i < expression->name_count; i++) {
    const struct expression_name *name = &expression->names[i];
    struct run_name found;
    char hint[200];
    if (name->index) {
      spec_error_at(reader->spec, node, start + name->offset, reader->diagnostics, NULL,
                    "'%.60s[...]' means nothing here: only laws and claims have indexed names", name->name);
      fine = false;
      continue;
    }
    if (run_name_find(reader->spec, name->name, &found)) continue;
    if (run_result_known(reader->spec, name->name)) {
      if (names == NAMES_OF_STORE) continue;
      spec_error_at(reader->spec, node, start + name->offset, reader->diagnostics, NULL,
                    "'%s' is known only when a run has ended", name->name);
      fine = false;
      continue;
    }
    const char *near =
        strlen(name->name) <= 100 ? run_name_nearest(reader->spec, name->name, names == NAMES_OF_STORE) : NULL;
    if (near)
      snprintf(hint, sizeof hint, "did you mean %s?", near);
    else
      snprintf(hint, sizeof hint, "text is written in quotes: '%.60s'", name->name);
    spec_error_at(reader->spec, node, start + name->offset, reader->diagnostics, hint,
                  "'%.60s' is no field or quantity of a run", name->name);
    fine = false;
  }
  return fine;
}

const struct expression *spec_read_expression(struct spec_reader *reader, const struct node *node,
                                              enum spec_name_set names, const char *what) {
  if (node->kind != NODE_SCALAR || node_is_null(node)) {
    node_error(node, reader->diagnostics, NULL, "%s must be an expression, not %s", what, node_kind_name(node));
    return NULL;
  }
  struct error error = {0};
  struct expression *expression = expression_parse(&reader->spec->arena, node->text, &error);
  if (!expression) {
    spec_expression_error(reader->spec, node, &error, NULL, reader->diagnostics);
    return NULL;
  }
  expression_spell_texts(expression, &reader->spec->arena, spec_text_spelling, reader->spec);
  if (names != NAMES_ANY && !spec_check_names(reader, node, 0, expression, names)) return NULL;
  return expression;
}
