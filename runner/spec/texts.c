// Texts of a spec: any, or one of a few.
#include <string.h>

#include "runner/spec/internal.h"

const char *spec_read_text(struct spec_reader *reader, const struct node *node, const char *what) {
  if (node->kind == NODE_SCALAR && !node_is_null(node)) return node->text;
  node_error(node, reader->diagnostics, NULL, "%s must be text, not %s", what, node_kind_name(node));
  return NULL;
}

void spec_choice_error(struct spec_reader *reader, const struct node *node, const char *const *choices, size_t count,
                       const char *what) {
  struct text hint = {0};
  char guess[160];
  const char *near = strlen(node->text) <= 100 ? nearest_name(node->text, choices, count) : NULL;
  if (near) {
    text_add(&hint, did_you_mean(near, guess));
  } else if (count) {
    text_add(&hint, "there are ");
    for (size_t i = 0; i < count; i++) text_format(&hint, "%s%s", i ? ", " : "", choices[i]);
  }
  node_error(node, reader->diagnostics, hint.length ? text_string(&hint) : NULL, "unknown %s '%.60s'", what,
             node->text);
  text_free(&hint);
}

const char *spec_read_choice(struct spec_reader *reader, const struct node *node, const char *const *choices,
                             size_t count, const char *what) {
  if (!spec_read_text(reader, node, what)) return NULL;
  for (size_t i = 0; i < count; i++)
    if (strcmp(choices[i], node->text) == 0) return choices[i];
  spec_choice_error(reader, node, choices, count, what);
  return NULL;
}
