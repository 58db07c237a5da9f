// What libyaml finds wrong with a text, in the words of somebody who wrote it.
#pragma once
#include <yaml.h>

struct document_complaint {
  yaml_mark_t mark;  // the place to show
  const char *hint;  // a constant, or NULL
  char message[256];
};
// The complaint of a parser that has failed at these bytes.
void document_translate(const yaml_parser_t *parser, const char *bytes, size_t length, struct document_complaint *said);
