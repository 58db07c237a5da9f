// libyaml's complaints in plain words. See document_words.h.
#include "base/document_words.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct wording {
  const char *problem;  // part of libyaml's message
  const char *context;  // part of its context, or NULL
  bool at_context;      // the place to show is where the construct began
  const char *message, *hint;
};

static const struct wording wordings[] = {
    {"found a tab character", NULL, false, "a tab is used for indentation", "YAML wants spaces there"},
    {"could not find expected ':'", NULL, true, "a key without a ':' after it",
     "write 'key: value', or put text with "
     "special characters in quotes"},
    {"mapping values are not allowed", NULL, false, "a ':' where none can be",
     "put text that holds ': ' in quotes; check the indentation of the lines above"},
    {"mapping keys are not allowed", NULL, false, "a '?' where no key can be", "put the text in quotes"},
    {"block sequence entries are not allowed", NULL, false, "a '-' where no list can start",
     "start the list on a line of its own"},
    {"did not find expected key", NULL, false, "this does not belong to the mapping around it",
     "check the indentation, and quotes that end too early"},
    {"did not find expected '-' indicator", NULL, false, "this does not belong to the list around it",
     "check the indentation: items of a list start with '- '"},
    {"did not find expected ',' or ']'", NULL, false, "a list in [ ] lacks a ',' or its ']' before this", NULL},
    {"did not find expected ',' or '}'", NULL, false, "a mapping in { } lacks a ',' or its '}' before this", NULL},
    {"did not find expected node content", NULL, false, "a value is missing here", NULL},
    {"found unexpected end of stream", NULL, true, "quoted text that never ends", NULL},
    {"found unexpected document indicator", NULL, true, "quoted text that never ends", NULL},
    {"found unknown escape character", NULL, false, "unknown escape in double quotes",
     "use single quotes, or \\\\ for a backslash"},
    {"did not find expected hexdecimal number", NULL, false, "an escape that lacks hexadecimal digits", NULL},
    {"found invalid Unicode character escape", NULL, false, "an escape that is no Unicode character", NULL},
    {"did not find expected alphabetic or numeric character", "alias", true, "text that starts with '*' needs quotes",
     "\"*.txt\"; a bare * starts an alias"},
    {"did not find expected alphabetic or numeric character", "anchor", true, "text that starts with '&' needs quotes",
     "a bare & starts an anchor"},
    {"did not find expected <document start>", NULL, false, "text after the end of the document", NULL},
    {"Maximum nesting level", NULL, false, "nested deeper than 64 levels", NULL},
    {"exceeded maximum depth", NULL, false, "nested deeper than 64 levels", NULL},
    {"did not find expected comment or line break", NULL, false, "text after '|' or '>' on the same line",
     "start the block on the next line, or put the text in quotes"},
    {"found undefined tag handle", NULL, false, "text that starts with '!' needs quotes", NULL},
    {"while scanning a tag", NULL, true, "text that starts with '!' needs quotes", NULL},
};

static void say(struct document_complaint *said, yaml_mark_t mark, const char *hint, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(said->message, sizeof said->message, format, arguments);
  va_end(arguments);
  said->mark = mark;
  said->hint = hint;
}

void document_translate(const yaml_parser_t *parser, const char *bytes, size_t length,
                        struct document_complaint *said) {
  const char *problem = parser->problem ? parser->problem : "cannot be read as YAML";
  const char *context = parser->context ? parser->context : "";
  if (parser->error == YAML_MEMORY_ERROR) {
    say(said, parser->mark, NULL, "too large to read in the memory there is");
    return;
  }
  if (parser->error == YAML_READER_ERROR) {
    // Readers know bytes, not lines.
    yaml_mark_t mark = {0};
    size_t end = parser->problem_offset < length ? parser->problem_offset : length;
    for (size_t i = 0; i < end; i++) {
      if (bytes[i] == '\n') {
        mark.line++;
        mark.column = 0;
      } else if (((unsigned char)bytes[i] & 0xC0) != 0x80) {
        mark.column++;
      }
    }
    if (strstr(problem, "control characters"))
      say(said, mark, "a spec is plain text", "a control character (code %d)", parser->problem_value);
    else
      say(said, mark, "a spec is plain text", "%s", problem);
    return;
  }
  yaml_mark_t mark = parser->problem_mark;
  if (strstr(problem, "cannot start any token")) {
    size_t line = 0, i = 0;
    for (; i < length && line < mark.line; i++) line += bytes[i] == '\n';
    for (size_t column = 0; i < length && column < mark.column; i++)
      column += i + 1 >= length || ((unsigned char)bytes[i + 1] & 0xC0) != 0x80;
    if (i < length && bytes[i] == '\t') {
      say(said, mark, "YAML wants spaces there", "a tab is used for indentation");
    } else {
      say(said, mark, NULL, "text that starts with '%c' needs quotes", i < length ? bytes[i] : ' ');
    }
    return;
  }
  for (size_t i = 0; i < sizeof wordings / sizeof wordings[0]; i++) {
    const struct wording *w = &wordings[i];
    if (!strstr(problem, w->problem) && !strstr(context, w->problem)) continue;
    if (w->context && !strstr(context, w->context)) continue;
    say(said, w->at_context && parser->context ? parser->context_mark : mark, w->hint, "%s", w->message);
    return;
  }
  say(said, mark, NULL, "not YAML: %s%s%s", context, *context ? ", " : "", problem);
}
