// See category_check.h.
#include "runner/fits/category_check.h"

#include <string.h>

#include "fitting/fitting.h"
#include "runner/fits/categories.h"
#include "runner/spec/entries.h"
#include "trainer/formats.h"

struct checking {
  const struct spec *spec;
  struct plan_categories categories;
  struct diagnostics *diagnostics;
  const struct node *node;  // of the condition that is looked at
};

// ---- coefficients: "eff[w4a4]" ----

// One item of a setting: each NAME[CATEGORY] in it.
static void check_item(struct checking *checking, const struct node *node, const char *text, const struct law *law) {
  for (int p = 0; p < law->parameter_count; p++) {
    const struct law_parameter *parameter = &law->parameters[p];
    size_t length = strlen(parameter->name);
    for (const char *at = text; parameter->by && (at = strstr(at, parameter->name)); at += length) {
      bool inside = at > text && (at[-1] == '_' || at[-1] == '.' || (at[-1] >= '0' && at[-1] <= 'z' && at[-1] != '['));
      const char *end = at[length] == '[' ? strchr(at, ']') : NULL;
      if (inside || !end) continue;
      char shown[72];
      const char *name = arena_copy(&checking->categories.arena, at + length + 1, (size_t)(end - at) - length - 1);
      const struct categories *categories = plan_categories_of(&checking->categories, parameter->by);
      if (!categories->known || plan_category_known(categories, name)) continue;
      const char *near = plan_category_nearest(&checking->categories, categories, name), *hint = NULL;
      if (near) hint = arena_format(&checking->categories.arena, "did you mean %s[%s]?", parameter->name, near);
      spec_error_at(checking->spec, node, (int)(at - text), checking->diagnostics, hint,
                    "no run of this spec has the %s '%s'", parameter->by, text_clipped(name, shown));
    }
  }
}

static void check_settings(struct checking *checking, const struct spec_fit *entry) {
  struct law law;
  struct diagnostics ignored = {0};  // its mistakes are reported where the entries are checked
  struct error error = {0};
  bool fine = law_load(&law, entry->law, &ignored, &error);
  for (const struct entry_key *key = fit_entry.keys; fine && key < fit_entry.keys + fit_entry.count; key++) {
    if (key->type != ENTRY_TEXTS && key->type != ENTRY_NAMES) continue;
    const struct option_list *list = (const void *)((const char *)entry + key->place);
    const struct node *node = node_find(entry->node, key->name);
    size_t count = !node ? 0 : node->kind == NODE_SEQUENCE ? node->count : 1;
    for (size_t i = 0; i < list->count && list->count == count; i++)
      check_item(checking, node->kind == NODE_SEQUENCE ? node->items[i] : node, list->items[i], &law);
  }
  law_free(&law);
  diagnostics_free(&ignored);
}

// ---- conditions: format == 'w4a4' ----

static const char *look_at(void *context, const char *name, const char *text, struct arena *arena) {
  struct checking *checking = context;
  const struct categories *categories = plan_categories_of(&checking->categories, name);
  char shown[72];
  (void)arena;
  if (!categories->known || plan_category_known(categories, text)) return text;
  const char *near = plan_category_nearest(&checking->categories, categories, text), *hint = NULL;
  if (near && strcmp(near, format_canonical(text, &checking->categories.arena)) == 0) return text;  // another spelling
  if (near) hint = arena_format(&checking->categories.arena, "did you mean '%s'?", near);
  node_warning(checking->node, checking->diagnostics, hint, "no run of this spec has the %s '%s'", name,
               text_clipped(text, shown));
  return text;
}

static void check_condition(struct checking *checking, const struct node *node, const char *text) {
  struct arena arena = {0};
  struct error ignored = {0};  // mistakes of its form are reported where it is read
  struct expression *condition = text && node ? expression_parse(&arena, text, &ignored) : NULL;
  checking->node = node;
  if (condition) expression_spell_texts(condition, &arena, look_at, checking);
  arena_free(&arena);
}

void categories_check(const struct spec *spec, const struct plan *plan, struct diagnostics *diagnostics) {
  struct checking checking = {.spec = spec, .diagnostics = diagnostics, .categories = {.plan = plan}};
  for (size_t i = 0; i < spec->fit_count && plan; i++) {
    const struct spec_fit *entry = &spec->fits[i];
    if (!entry->law || !entry->node || entry->node->kind != NODE_MAPPING) continue;
    check_settings(&checking, entry);
    check_condition(&checking, node_find(entry->node, "where"), entry->where.text);
    check_condition(&checking, node_find(entry->node, "holdout"), entry->holdout.text);
  }
  for (size_t i = 0; i < spec->isoflop_count && plan; i++)
    check_condition(&checking, node_find(spec->isoflops[i].node, "where"), spec->isoflops[i].where.text);
  for (size_t i = 0; i < spec->claim_count && plan; i++) {
    const struct expression *claim = spec->claims[i].expression;
    for (int k = 0; k < claim->name_count; k++)
      if (claim->names[k].index_quoted) check_condition(&checking, spec->claims[i].node, claim->names[k].index);
  }
  plan_categories_free(&checking.categories);
}
