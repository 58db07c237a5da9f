// Texts that an expression compares with a name, put into the one spelling that the name's values have. See
// expression.h.
#include "base/expression.h"

struct spelling {
  struct arena *arena;
  expression_spell *spell;
  void *context;
};

static void spell(const struct spelling *spelling, const struct expression_node *name, struct expression_node *text) {
  if (name->kind != EXPRESSION_NAME || text->kind != EXPRESSION_TEXT) return;
  text->text = spelling->spell(spelling->context, name->text, text->text, spelling->arena);
}

static void walk(const struct spelling *spelling, struct expression_node *node) {
  bool compares = node->kind == EXPRESSION_EQUAL || node->kind == EXPRESSION_UNEQUAL || node->kind == EXPRESSION_IN;
  for (int i = 1; i < node->count && compares; i++) {
    spell(spelling, node->arguments[0], node->arguments[i]);
    spell(spelling, node->arguments[i], node->arguments[0]);
  }
  for (int i = 0; i < node->count; i++) walk(spelling, node->arguments[i]);
}

void expression_spell_texts(struct expression *expression, struct arena *arena, expression_spell *how, void *context) {
  walk(&(struct spelling){arena, how, context}, expression->root);
}
